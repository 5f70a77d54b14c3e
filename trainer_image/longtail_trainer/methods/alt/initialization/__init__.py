"""The search behind a first version: two ways, of which the better one on validation rows wins (ALT III-B, Fig. 4).

`choose` goes both ways, or those that the spec names; `initialize` trains what it hands back.
"""

from longtail_trainer.methods.alt.initialization.choice import Chosen, as_given, choose
from longtail_trainer.methods.alt.initialization.pool_rows import PoolRows

__all__ = ["Chosen", "PoolRows", "as_given", "choose"]
