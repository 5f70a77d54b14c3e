"""A new serving image reaches Scenarios a few at a time, and no more of them once one has refused it."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_operator.kubernetes.objects import Key
from longtail_operator.serving.upgrade import Upgrade
from tests.unit.operator_builders import SETTINGS, Story, a_serving_scenario

NEW = replace(SETTINGS, serving_image="serving:2", concurrent_upgrades=2)


class Fleet:
    """Scenarios that serve with image serving:1, of an operator that has serving:2 now."""

    def __init__(self, *names: str) -> None:
        self.woken: list[str] = []
        self.upgrade = Upgrade(lambda key: self.woken.append(key.name))
        self.stories = {name: a_serving_scenario(name=name).serves() for name in names}
        for story in self.stories.values():
            story.settings = NEW
        self.decide()

    def decide(self) -> "Fleet":
        """One decision about each, in the order of their names."""
        for name, story in self.stories.items():
            key = Key("Scenario", "shop", name)
            story.upgrade_held = self.upgrade.held(key, NEW.serving_image, NEW.concurrent_upgrades)
            story.settle()
            self.upgrade.look(key, {**story.raw, "status": story.status})
        return self

    def ends(self, name: str, verdict: str, reason: str = "Succeeded") -> "Fleet":
        """The check of one ends, and the decision about it follows."""
        story = self.stories[name]
        story.answers().settle()
        story.reports(verdict, reason, "as measured").settle()
        story.later(60).answers().settle()
        self.upgrade.look(Key("Scenario", "shop", name), {**story.raw, "status": story.status})
        return self

    @property
    def trying(self) -> list[str]:
        return [name for name, story in self.stories.items() if story.status["serving"].get("candidate")]

    @property
    def upgraded(self) -> list[str]:
        return [name for name, story in self.stories.items() if image_that_serves(story) == "serving:2"]


def image_that_serves(story: Story) -> str:
    deployment = story.children[Key("Deployment", "shop", f"{story.raw['metadata']['name']}-{story.traffic_goes_to}")]
    return deployment["spec"]["template"]["spec"]["containers"][0]["image"]


def test_a_new_image_is_tried_by_a_few_at_a_time_and_who_is_next_is_woken():
    fleet = Fleet("a", "b", "c", "d")
    assert fleet.trying == ["a", "b"]
    assert fleet.stories["c"].condition("RolledOut") == ("False", "WaitingForUpgrade")
    assert fleet.stories["c"].condition("Ready") == ("True", "Serving")
    fleet.ends("a", "Passed")
    assert fleet.woken[0] == "c"
    fleet.decide()
    assert fleet.upgraded == ["a"]
    assert fleet.trying == ["b", "c"]


def test_no_more_begin_once_one_has_refused_and_all_say_which():
    fleet = Fleet("a", "b", "c").ends("a", "Failed", "SLOCheckFailed").ends("b", "Passed").decide()
    assert fleet.trying == []
    assert fleet.stories["c"].condition("RolledOut") == ("False", "UpgradeHeld")
    assert fleet.stories["c"].message("RolledOut") == (
        "image serving:2 waits, since it was refused by a: mend what RolledOut says there, suspend it to go on without "
        "it, or go back to the image before; v1 goes on serving as it is"
    )
    assert "refused: as measured" in fleet.stories["a"].message("RolledOut")


def mended(story: Story) -> None:
    story.change(serving={"slo": {"p99Milliseconds": 50}})


def suspended(story: Story) -> None:
    story.change(suspend=True)


def test_it_goes_on_once_that_one_has_passed_or_is_suspended():
    ways: list[Callable[[Story], None]] = [mended, suspended]
    for way in ways:
        fleet = Fleet("a", "b", "c", "d").ends("a", "Failed", "SLOCheckFailed").decide()
        way(fleet.stories["a"])
        fleet.decide()
        if way is mended:
            assert fleet.trying == ["a", "b"], "its own second try is not held up by itself"
            fleet.ends("a", "Passed")
        assert "c" in fleet.woken
        assert fleet.decide().trying == ["b", "c"]


def test_two_that_have_refused_do_not_hold_up_each_other():
    fleet = Fleet("a", "b").ends("a", "Failed", "SLOCheckFailed").ends("b", "Failed", "SLOCheckFailed")
    for story in fleet.stories.values():
        mended(story)
    assert fleet.decide().trying == ["a", "b"]


def test_a_check_that_measured_nothing_stops_nobody():
    fleet = Fleet("a", "b", "c").ends("a", "Inconclusive", "CheckInconclusive").decide()
    assert fleet.stories["c"].condition("RolledOut")[1] != "UpgradeHeld"


def test_the_image_before_lets_all_go_on():
    fleet = Fleet("a", "b", "c").ends("a", "Failed", "SLOCheckFailed")
    for story in fleet.stories.values():
        story.settings = SETTINGS
    fleet.decide()
    assert fleet.trying == []
    assert all(story.condition("RolledOut") == ("True", "Promoted") for story in fleet.stories.values())


def test_other_resources_and_a_new_model_are_not_held_up():
    fleet = Fleet("a", "b", "c", "d").ends("a", "Failed", "SLOCheckFailed").decide()
    new = fleet.stories["c"]
    new.annotate("again").trained().answers().settle()
    assert new.condition("RolledOut") == ("False", "CheckingCandidate")
    new.reports("Passed").settle()
    assert new.traffic_goes_to == "v2"
    assert image_that_serves(new) == "serving:2"
    other = fleet.stories["d"]
    other.settings = SETTINGS
    other.change(serving={"slo": {"p99Milliseconds": 20}, "resources": {"limits": {"cpu": "1"}}}).settle()
    assert other.status["serving"]["candidate"]


def test_where_nothing_answers_the_new_image_is_used_at_once():
    fleet = Fleet("a", "b", "c").ends("a", "Failed", "SLOCheckFailed").decide()
    down = fleet.stories["c"]
    down.children[Key("Deployment", "shop", "c-v1")]["status"] = {}
    fleet.decide()
    assert fleet.trying == ["b", "c"]


def test_a_scenario_that_is_gone_holds_up_nobody():
    fleet = Fleet("a", "b", "c").ends("a", "Failed", "SLOCheckFailed").decide()
    del fleet.stories["a"]
    fleet.upgrade.look(Key("Scenario", "shop", "a"), None)
    assert fleet.woken[-1:] == ["c"]
    assert fleet.decide().trying == ["b", "c"]


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["Passed", "Failed", "Inconclusive"])), max_size=12)
)
def test_whatever_the_checks_say_only_a_few_try_at_a_time(ends: list[tuple[str, str]]):
    fleet = Fleet(*"abcd")
    for name, verdict in ends:
        if name not in fleet.trying:
            continue
        fleet.ends(name, verdict, "SLOCheckFailed" if verdict == "Failed" else "Succeeded").decide()
        assert len(fleet.trying) <= NEW.concurrent_upgrades
    for name, story in fleet.stories.items():
        assert name in fleet.upgraded or story.traffic_goes_to == "v1"
