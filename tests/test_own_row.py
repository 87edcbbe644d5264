"""Predictions, and a row of the reader's own: trained by a button, stopped, kept, and shown."""

from dataclasses import replace
from threading import Event

import pytest

from statkit.experiments import Experiment
from statkit.experiments.rows import THIRDS, Row
from statkit.experiments.settings import DEMO
from statkit.experiments.tables import lines_of, markdown
from statkit.runtime.progress import HEADLESS
from statkit.widgets import Slider
from statkit.widgets.live import LiveTable, OwnRow
from statkit.widgets.predict import Guess

QUICK = replace(DEMO, recipe=replace(DEMO.recipe, epochs=2, views=1), student_size=(24, 32))


def own_row(dataset, **options):
    def prepare(share=0.5):
        rows = {"yours": Row("Yours", (share, 1 - share, 0))}
        return Experiment(dataset, QUICK, rows=rows, progress=False)

    return OwnRow(prepare, ["yours"], **options)


def test_the_row_of_the_sliders_is_trained_kept_and_put_into_the_table(dataset):
    yours = None

    def text():
        runs = [yours.experiment.result("yours")] if yours else []
        return markdown(lines_of(runs, [run.row for run in runs])) if runs else "| none |\n|---|\n"

    table = LiveTable(text)
    assert "<table>" in table.value and "Yours" not in table.value
    row = own_row(dataset, then=lambda own: None, share=Slider("Share", 0.1, 0.9, 0.25, 0.05))
    row.run()
    yours = row
    table.refresh()
    assert "<td>Yours</td>" in table.value and "Yours: prec@1" in row.words.value
    assert row.experiment.rows["yours"].weights == (0.25, 0.75, 0)
    assert len(row.experiment.history("yours")) == 2 and row.experiment.trained("yours")
    assert not row.button.disabled
    assert len(row.curves.get_state()["children"]) == 2  # what a page asks for when it is loaded
    row.controls["share"].value = 0.5
    assert not row.prepare(0.5).trained("yours")


def test_it_stops_after_the_epoch_and_goes_on_from_there(dataset, monkeypatch):
    row = own_row(dataset)
    row.prepare = lambda: Experiment(
        dataset, QUICK, rows={"yours": Row("Yours", THIRDS)}, progress=False
    )
    told = []
    row.words.observe(lambda change: told.append(change.new), "value")
    from statkit.widgets import live

    asked = live.TrainingPanel.on_epoch

    def stop_at_once(panel, *arguments):
        panel.stop.set()
        asked(panel, *arguments)

    monkeypatch.setattr(live.TrainingPanel, "on_epoch", stop_at_once)
    row.run()
    assert "Stopped Yours after epoch 1" in told[-1] and "press the button again" in told[-1]
    assert row.experiment is None
    monkeypatch.undo()
    row.run()
    assert "prec@1" in told[-1] and len(row.experiment.history("yours")) == 2
    shown = []
    monkeypatch.setenv(HEADLESS, "1")
    monkeypatch.setattr(live, "display", lambda what, **_: shown.append(what))
    row.show(train=True)  # a page without a kernel has the last state
    assert "Yours: prec@1" in shown[-2]["text/html"] and "after epoch 2" in shown[-1].alt


def test_a_double_click_trains_once(dataset):
    row, begun, go_on = own_row(dataset), [], Event()

    def prepare():
        begun.append(1)
        go_on.wait(60)
        raise ValueError("enough")

    row.prepare = prepare
    told = Event()
    row.words.observe(lambda change: told.set(), "value")
    row.button.click()
    row.button.click()
    assert row.button.disabled
    go_on.set()
    assert told.wait(60) and len(begun) == 1


def test_a_failure_is_told_beside_the_button(dataset):
    def broken():
        raise ValueError("no such weights")

    row = OwnRow(broken, ["yours"])
    row.run()
    assert "no such weights" in row.words.value and not row.button.disabled


def test_a_prediction_is_kept_and_shown_beside_what_was_measured():
    guess = Guess("test_flat", ["flat", "peaked <b>"])
    assert guess.value is None
    box = guess.measured("peaked <b>", "It is 3.")
    assert "nothing yet" in box.value and "peaked &lt;b&gt;" in box.value
    guess.value = "flat"
    assert "predicted: <b>flat</b>. Measured" in box.value and "✓" not in box.value
    guess.value = "peaked <b>"
    assert "✓" in box.value
    assert Guess("test_flat", ["flat", "peaked <b>"]).value == "peaked <b>"
    assert Guess("test_flat", ["other", "options"]).value is None
    with pytest.raises(ValueError, match="none of"):
        guess.measured("else")
