"""Why a store can't be used, or has not answered yet, in a condition's words."""

from longtail_api.conditions import Reason
from longtail_operator.kubernetes.trouble import Trouble
from longtail_operator.stores.opened import HeavyModelStore
from longtail_operator.stores.questions import NotYet
from longtail_store import StoreError

_REASONS = frozenset(Reason)


def told(error: StoreError) -> Trouble:
    """The reason is the error's class, or the nearest one above it that is a reason."""
    names = (kind.__name__ for kind in type(error).__mro__)
    known = next((name for name in names if name in _REASONS), Reason.STORE_UNREACHABLE)
    return Trouble(known, str(error))


def not_yet(state: HeavyModelStore, answer: NotYet) -> Trouble:
    if answer.seconds < state.questions.patience_seconds:
        return Trouble(Reason.WAITING, f"waiting for {state.store!r} to answer")
    return Trouble(
        Reason.STORE_UNREACHABLE,
        f"{state.store!r}{f' at {state.address.endpoint}' if state.address.endpoint else ''} does not answer within "
        f"{state.questions.patience_seconds:.0f} s; look after the store, or what lies between; it is asked on",
    )


def unforeseen(error: Exception) -> Trouble:
    return Trouble(
        Reason.STORE_FAILED,
        f"asking the store ended in a way nobody foresaw ({type(error).__name__}); the operator's log says where",
    )
