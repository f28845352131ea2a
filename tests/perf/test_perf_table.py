"""The comparison: order of the runs, medians, ratios, text, JSON. Runs are played by a function."""

import json

import pytest

import amqpd
from amqpd.perf.command import build_parser, choose_pace, parse_labelled
from amqpd.perf.connection import BrokerError
from amqpd.perf.load import Report
from amqpd.perf.machine import describe_machine
from amqpd.perf.options import LoadOptions
from amqpd.perf.render import columns, comparison_json, comparison_text, number
from amqpd.perf.scenario import (
    DRAIN_COUNT,
    DRAIN_COUNT_QUICK,
    SCENARIOS,
    Measure,
    Pace,
    Scenario,
    choose,
)
from amqpd.perf.table import Cell, Comparison, Contestant, Row, distinguish
from amqpd.perf.target import Target

OURS = Contestant("amqpd", Target(port=1), {"product": "RabbitMQ"})
THEIRS = Contestant("Rabbit 3", Target(port=2, password="secret"), {"product": "Rabbit"})
PACE = Pace(seconds=1.0, rounds=3, rest_s=0.0)
FLOW = Scenario("flow", "a flow", LoadOptions())
SLOW = Scenario(
    "slow",
    "a latency",
    LoadOptions(persistent=True),
    (Measure("ms", ("latency_ms_p50",), lower_is_better=True),),
)


class Runs:
    """Answers each run with the next of the port's prepared reports, and notes the order."""

    def __init__(self, reports: dict[int, list[Report | str]]) -> None:
        self.reports = reports
        self.order: list[int] = []

    def __call__(self, options: LoadOptions) -> Report:
        self.order.append(options.target.port)
        report = self.reports[options.target.port].pop(0)
        if isinstance(report, str):
            raise BrokerError(report)
        return report


def flow(publish: float, consume: float, got: float = 10.0) -> Report:
    return {"publish_per_s": publish, "consume_per_s": consume, "sent": 10.0, "got": got}


def slow(latency: float) -> Report:
    return {"latency_ms_p50": latency, "sent": 10.0, "got": 10.0}


def compared(ours: list[Report | str], theirs: list[Report | str]) -> Comparison:
    comparison = Comparison([OURS, THEIRS], PACE, Runs({1: ours, 2: theirs}))
    comparison.measure([FLOW])
    return comparison


def test_brokers_take_turns_and_the_order_turns_too() -> None:
    runs = Runs({1: [flow(1, 1)] * 3, 2: [flow(1, 1)] * 3})
    Comparison([OURS, THEIRS], PACE, runs).measure([FLOW])
    assert runs.order == [1, 2, 2, 1, 1, 2]


def test_the_smaller_of_both_rates_counts_and_the_median_round() -> None:
    ours = [flow(900, 800), flow(100, 2000), flow(700, 700)]
    comparison = compared([*ours], [flow(70, 70)] * 3)
    assert comparison.rows[0].cells[0].values == [800, 100, 700]
    assert comparison.rows[0].cells[0].median == 700
    assert comparison.rows[0].ratio(1) == 10


def test_a_ratio_above_one_is_better_also_where_lower_is() -> None:
    comparison = Comparison([OURS, THEIRS], PACE, Runs({1: [slow(2.0)] * 3, 2: [slow(8.0)] * 3}))
    comparison.measure([SLOW])
    assert comparison.rows[0].ratio(1) == 4


def test_a_failed_round_is_shown_and_not_repeated() -> None:
    comparison = compared([flow(5, 5)] * 3, [flow(5, 5), "it broke", flow(7, 7)])
    cell = comparison.rows[0].cells[1]
    assert (cell.values, cell.failures) == ([5, 7], ["it broke"])
    text = comparison_text(comparison, {})
    assert "6!" in text
    assert "failed: flow, Rabbit 3: it broke" in text


def test_a_broker_that_always_fails_has_no_ratio() -> None:
    comparison = compared([flow(5, 5)] * 3, ["no", "no", "no"])
    assert comparison.rows[0].ratio(1) is None
    assert "fails" in comparison_text(comparison, {})


def test_facts_and_brokers_do_not_hide_each_other() -> None:
    text = comparison_text(Comparison([OURS], PACE), describe_machine())
    assert f"amqpd {amqpd.__version__}, {amqpd.build()}" in text
    assert "RabbitMQ at 127.0.0.1:1" in text


def test_messages_that_did_not_come_are_noted_once() -> None:
    comparison = compared([flow(5, 5)] * 3, [flow(5, 5, got=8)] * 3)
    assert len(comparison.notes) == 1
    assert comparison.notes[0].startswith("Rabbit 3, flow: 2 of 10 messages did not come")


def test_the_spread_is_relative_to_the_median() -> None:
    assert Cell([90, 100, 130]).spread == 0.4
    assert Cell().spread == 0.0


def test_brokers_of_the_same_name_are_told_apart_by_port() -> None:
    same = [OURS, Contestant("amqpd", Target(port=7), {}), THEIRS]
    assert [each.label for each in distinguish(same)] == ["amqpd :1", "amqpd :7", "Rabbit 3"]


TABLE = """\
machine   a toaster
amqpd     RabbitMQ at 127.0.0.1:1
Rabbit 3  Rabbit at 127.0.0.1:2

                  unit    amqpd  Rabbit 3  x Rabbit 3
---------  ----  -----  -------  --------  ----------
a flow           msg/s  123,456     1,234         100
a latency  disk     ms    0.045      12.3         273

median of 3 rounds of 1 s, brokers in turn; ratios above 1: amqpd is ahead
widest spread between rounds: 100% of the median (slow in ms, Rabbit 3)"""


def test_the_table_as_it_is_printed() -> None:
    comparison = Comparison([OURS, THEIRS], PACE)
    comparison.rows.append(Row(FLOW, FLOW.measures[0], [Cell([123456.0]), Cell([1234.4])]))
    slow_cells = [Cell([0.045]), Cell([12.3, 0.1, 12.35])]
    comparison.rows.append(Row(SLOW, SLOW.measures[0], slow_cells))
    assert comparison_text(comparison, {"machine": "a toaster"}) == TABLE


def test_the_json_has_all_values_and_no_password() -> None:
    comparison = compared([flow(5, 5), flow(6, 6), flow(7, 7)], [flow(2, 2), "no", flow(4, 4)])
    text = json.dumps(comparison_json(comparison, {"machine": "a toaster"}))
    assert "secret" not in text
    row = json.loads(text)["rows"][0]
    assert row["brokers"]["amqpd"] == {
        "median": 6,
        "values": [5, 6, 7],
        "failures": [],
        "ratio": 1.0,
    }
    assert row["brokers"]["Rabbit 3"]["failures"] == ["no"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (1234567.8, "1,234,568"), (99.94, "99.9"), (9.876, "9.88"), (0.0421, "0.0421")],
)
def test_a_number_has_the_digits_that_mean_something(value: float | None, text: str) -> None:
    assert number(value) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([["", "n"], ["long name", "1"]]) == "           n\n---------  -\nlong name  1"


def test_every_scenario_of_the_table_is_sound() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names) == 8
    for scenario in SCENARIOS:
        options = scenario.options(Target(port=9), PACE)
        assert (options.target.port, options.seconds) == (9, 1.0)
        assert options.count == (DRAIN_COUNT if options.drain else 0)


def test_a_quick_drain_is_shorter() -> None:
    (drain,) = choose("drain")
    assert drain.options(Target(), Pace(quick=True)).count == DRAIN_COUNT_QUICK


def test_scenarios_are_chosen_by_name() -> None:
    assert [scenario.name for scenario in choose("drain, small")] == ["drain", "small"]
    assert choose("") == SCENARIOS
    with pytest.raises(ValueError, match="no scenario 'fast'; there are transient, small"):
        choose("fast")


def test_a_broker_may_have_a_label() -> None:
    assert parse_labelled("rabbit=amqp://h:1/") == ("rabbit", Target("h", 1))
    assert parse_labelled("amqp://h:1/a=b") == ("", Target("h", 1, vhost="a=b"))


def test_quick_is_one_round_of_a_second_unless_more_is_said() -> None:
    parser = build_parser()
    assert choose_pace(parser.parse_args(["table"])) == Pace()
    quick = choose_pace(parser.parse_args(["table", "--quick", "--rounds", "2"]))
    assert (quick.seconds, quick.rounds, quick.quick) == (1.0, 2, True)
    with pytest.raises(ValueError, match="positive"):
        choose_pace(parser.parse_args(["table", "--rounds", "0"]))
