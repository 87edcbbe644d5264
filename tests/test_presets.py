"""The paper's runs by name, held against what the paper says, and the commands that texts name."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from statkit.backbones import MODELS
from statkit.cli.chosen import chosen_config
from statkit.cli.commands import _parser, main
from statkit.data.clips import DatasetError
from statkit.data.flow import flow_frames
from statkit.data.frames import FrameSettings, kept_positions
from statkit.data.stored import store_frames
from statkit.experiments import Experiment
from statkit.experiments.grid import plan
from statkit.experiments.paper import paper_numbers
from statkit.experiments.presets import PRESETS, starting_config
from statkit.experiments.rows import ROWS, staged
from statkit.experiments.runs import equation_4, pretrained_of, recipe_of, run_name
from statkit.experiments.settings import DEMO, REAL, PaperChoices
from statkit.models import build_model
from statkit.recipes import RECIPES
from statkit.runtime.cache import fingerprint
from statkit.sampling import segment_indices

REPOSITORY = Path(__file__).resolve().parents[1]
KINETICS = (0.43216, 0.394666, 0.37645)
IMAGENET = (0.485, 0.456, 0.406)
TABLE_3 = ("teacher", "student", "sat", "tat", "stat", "stat_rc", "stat_rc_ut")
# The table of the paper's runs: data, backbone, K, F, its normalisation, and where weights are.
PAPER = {
    "paper-resnet34": ("UCF101", "resnet34", 8, 1, IMAGENET, "IMAGENET1K_V1"),
    "paper-r2plus1d-18": ("UCF101", "r2plus1d_18", 4, 5, KINETICS, "KINETICS400_V1"),
    "paper-two-stream": ("HMDB51", "r2plus1d_34", 4, 16, KINETICS, None),
}
NUMBERS = {
    "paper-resnet34": (78.82, 42.79, 45.76, 44.97, 46.66, 46.85, 48.03),
    "paper-r2plus1d-18": (90.56, 48.95, 52.03, 50.59, 52.34, 53.21, 54.92),
    "paper-two-stream": (52.29, 58.12),
}


def text_of(file):
    """What a reader reads of a file; of a notebook, its cells."""
    text = file.read_text("utf-8")
    if file.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text.replace("\\\n", " ")


def documented_commands():
    """Every command with a preset that a Markdown file, a notebook or a claim names."""
    texts = [REPOSITORY / "statkit" / "experiments" / "claims.csv"]
    for kind in ("*.md", "*/*.md", "notebooks/*.ipynb"):
        texts += REPOSITORY.glob(kind)
    for file in texts:
        text = text_of(file)
        for words in re.findall(r"statkit (?:tables|train|prepare)[^`#\n\"]*", text):
            if "--preset" in words:
                yield pytest.param(words.split()[1:], id=f"{file.name}: {words}")


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_is_what_the_paper_says(name):
    preset, (data, backbone, segments, frames, mean, weights) = PRESETS[name], PAPER[name]
    config, recipe = preset.config, preset.config.recipe
    assert (preset.dataset, preset.splits, config.backbone) == (data, (1, 2, 3), backbone)
    network = MODELS[backbone]
    assert config.pretrained is True and network.mean == mean
    assert (network.weights and network.weights.name) == weights
    assert (config.segments, network.frames_per_segment) == (segments, frames)
    assert config.frames.serves(segments, frames)
    assert config.frames.hr_size == (256, 340) and config.frames.lr_size == (12, 16)
    assert config.student_size is None  # the teacher's
    assert (recipe.optimizer, recipe.batch_size, recipe.rate) == ("sgd", 256, 0.001)
    assert recipe.backbone_rate is None and recipe.epochs == 50
    rates = [recipe.rate_at(epoch) for epoch in (0, 4, 19, 20, 39, 40, 49)]
    assert rates == pytest.approx([0.2, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert (recipe.weight_decay, recipe.clip_norm, recipe.batchnorm) == (5e-4, 20, "partial")
    assert (recipe.views, recipe.frame_sampling, recipe.start) == (10, "all", "random")
    assert config.staged and config.choices == PaperChoices(phase=10)
    assert (config.choices.flips, config.choices.offsets) == (False, 1)
    assert config.choices.flow_weight == 1 and config.labelled is None


def test_the_rows_are_the_papers():
    assert PRESETS["paper-resnet34"].rows == PRESETS["paper-r2plus1d-18"].rows
    # One row more than the paper's: a plain student that trains for as long as both stages.
    assert set(PRESETS["paper-resnet34"].rows) == {*TABLE_3, "student_staged"}
    two = PRESETS["paper-two-stream"].rows
    assert {"student", "two_stream_stat_rc_ut"} <= set(two)
    assert ROWS["two_stream_stat_rc_ut"].fused_rows == ("stat_rc_ut", "flow_stat_rc_ut")
    for name, numbers in NUMBERS.items():
        preset = PRESETS[name]
        known = paper_numbers(preset.table, preset.config.backbone)
        found = [known[row, ""] for row in preset.rows if (row, "") in known]
        assert found == pytest.approx(numbers)
    config = PRESETS["paper-resnet34"].config
    weights = {"sat": (0.5, 0.5, 0), "tat": (0.5, 0, 0.5), "stat": (1 / 3,) * 3}
    for row, expected in weights.items():
        loss = equation_4(ROWS[row], config, 0)
        assert (loss.ce, loss.sat, loss.tat) == expected and recipe_of(
            ROWS[row], config
        ).epochs == 50
    assert recipe_of(ROWS["ut"], config).epochs == recipe_of(ROWS["flow_ut"], config).epochs == 10
    phases = [equation_4(ROWS["stat_rc_ut"], config, e).sat_blocks[0] for e in (9, 10, 20, 30, 49)]
    assert phases == [0.4, 0.3, 0.2, 0.1, 0.1]


def test_stage_two_goes_on_from_the_single_model():
    rows = staged(ROWS)
    assert [rows[row].start for row in ("sat", "tat", "stat", "ut", "kd")] == ["student"] * 5
    assert rows["stat_rc_ut"].start == "ut" and rows["flow_ut"].start == "flow"
    assert rows["flow_stat"].start == "flow" and rows["flow_stat_rc_ut"].start == "flow_ut"
    assert rows["stat_stem"].start == "student_stem" and rows["stat_full"].start == "student_full"
    assert rows["teacher"] == ROWS["teacher"] and rows["student"] == ROWS["student"]
    assert rows["stat_scratch"] == ROWS["stat_scratch"]


def test_a_staged_run_starts_from_the_students_weights_and_shares_its_single_models(dataset):
    recipe = replace(DEMO.recipe, epochs=1, views=2, batch_size=16)
    frames = replace(DEMO.frames, hr_size=(24, 32))
    quick = replace(DEMO, frames=frames, student_size=(24, 32), recipe=recipe)
    plain, two = (
        Experiment(dataset, replace(quick, staged=flag), device="cpu", progress=False)
        for flag in (False, True)
    )
    for row in ("teacher", "student", "flow"):
        assert plain.folder(row) == two.folder(row)
    for row in ("stat", "ut", "stat_rc_ut"):
        assert plain.folder(row) != two.folder(row)
    assert plain.folder("stat_staged").name[12:] == two.folder("stat").name[5:]
    slow = replace(recipe, rate=1e-9, weight_decay=0.0, batchnorm="all")
    two.config = replace(two.config, recipe=slow)
    for name, values in two.network("student").state_dict().items():
        if not name.startswith("tam."):
            assert torch.allclose(two.network("stat").state_dict()[name], values, atol=1e-6), name
    # The unlabelled stage then knows what the student knew of labels.
    few = Experiment(dataset, replace(two.config, labelled=2), device="cpu", progress=False)
    assert few.folder("ut") != two.folder("ut")


def test_names_of_runs_are_those_before_there_were_presets(monkeypatch):
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    configs = [DEMO, REAL, replace(DEMO, backbone="r2plus1d_18", student_size=None)]
    configs += [replace(REAL, labelled=4, student_epochs=9)]
    configs += [replace(DEMO, choices=PaperChoices(power=2, tam="shared"))]
    rows = (*TABLE_3, "ut", "flow_stat", "student_full", "stat_scratch", "stat_from_teacher")
    names = {}
    for i, config in enumerate(configs):
        for row in rows:
            for how in ({}, {"unlabelled": "u", "live_teacher": True}):
                name = run_name(row, ROWS, config, 3, clips="abc", **how)
                names[f"{i}{row}{bool(how)}"] = name
    assert fingerprint(names) == "51ea3899117e28b4"
    faster = replace(REAL, recipe=replace(REAL.recipe, tam_rate=1e-3))
    apart = [run_name(row, ROWS, c, 3, clips="abc") for row in ROWS for c in (REAL, faster)]
    assert len(set(apart)) == 2 * len(ROWS)
    assert FrameSettings().as_dict().keys() >= {"frames_per_clip", "seed"}
    assert "consecutive" not in FrameSettings().as_dict()


def test_pretraining_of_teacher_and_student_apart():
    """The runs of a 2 x 2 design: two teachers, two plain students, four transfer students."""
    tuned = replace(REAL, recipe=RECIPES["finetune"])
    cells = [
        replace(tuned, pretrained=t, student_pretrained=s)
        for t in (False, True)
        for s in (False, True)
    ]
    names = {
        row: [run_name(row, ROWS, cell, 0, clips="abc") for cell in cells]
        for row in ("teacher", "student", "stat")
    }
    assert names["teacher"] == [names["teacher"][0]] * 2 + [names["teacher"][2]] * 2
    assert names["student"] == names["student"][:2] * 2 and len(set(names["stat"])) == 4
    assert len(set(names["teacher"])) == len(set(names["student"])) == 2
    both = replace(tuned, pretrained=True)
    for row, found in names.items():
        assert run_name(row, ROWS, both, 0, clips="abc") == found[3]
        assert run_name(row, ROWS, replace(tuned, pretrained=False), 0, clips="abc") not in found
        starts = [(pretrained_of(ROWS[row], c), recipe_of(ROWS[row], c).start) for c in cells]
        assert set(starts) == {(False, "random"), (True, "probe")}


@pytest.mark.parametrize("segments, frames", [(4, 5), (4, 16)])
@pytest.mark.parametrize("length", [3, 30, 36, 37, 80, 81, 500])
def test_a_3d_network_is_fed_consecutive_frames_of_each_interval(segments, frames, length):
    """Frame numbers in the file: one after the other, each run inside its interval."""
    settings = FrameSettings().for_network(segments, frames)
    positions, kept = kept_positions(length, settings), settings.frames_per_clip
    stored, starts = min(length, kept), set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shown = positions[segment_indices(stored, segments, frames, rng=rng)]
        assert ((np.diff(shown, axis=1) == 1) | (shown[:, 1:] == length - 1)).all()
        if length > kept:
            middle = (np.arange(segments)[:, None] + [0, 1]) * length / segments
            assert (shown[:, 0] >= np.floor(middle[:, 0])).all()
            assert (shown[:, -1] <= np.ceil(middle[:, 1])).all()
            starts |= set((shown[:, 0] - np.floor(middle[:, 0])).tolist())
    assert length <= kept or len(starts) >= 5  # room to jitter


def test_evenly_spaced_frames_are_refused_for_a_3d_network_with_the_flags_to_use(dataset):
    config = replace(DEMO, backbone="r2plus1d_18", frames=FrameSettings(8, hr_size=(24, 32)))
    config = replace(config, student_size=None)
    with pytest.raises(DatasetError, match="--frames 36 --consecutive 9 --hr-size 24x32"):
        _ = Experiment(dataset, config, device="cpu", progress=False).store
    with pytest.raises(ValueError, match="whole runs"):
        FrameSettings(16, consecutive=5)


def test_flow_does_not_cross_runs(dataset):
    """Between two runs lies time that nothing is stored of."""
    frames = FrameSettings(8, consecutive=4, hr_size=(24, 32))
    assert dataset.num_frames.min() > 8
    one = Experiment(dataset, replace(DEMO, frames=frames), device="cpu", progress=False)
    low, flow = one.store.lr[0], one.store.flow[0]
    assert np.array_equal(flow, np.concatenate([flow_frames(low[:4]), flow_frames(low[4:])]))
    assert np.array_equal(flow[3], flow[2])
    whole = store_frames(dataset, FrameSettings(999, hr_size=(24, 32)), progress=False)
    assert whole.run_length(0) == dataset.num_frames.max()


def test_a_backbone_alone_means_its_pretrained_weights_on_real_clips(dataset):
    real = replace(dataset, generated=False)
    for name in MODELS:
        found = starting_config(real, backbone=name)
        assert found.pretrained is (not name.startswith("demo")) and found.backbone == name
        generated = starting_config(dataset, backbone=name)
        assert generated.pretrained is False
    assert starting_config(real) == REAL and starting_config(dataset) == DEMO


def test_without_weights_it_says_which_file_it_wants(demo_folder, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("STATKIT_WEIGHTS", raising=False)
    words = ["tables", "--preset", "paper-two-stream", "--data", str(demo_folder)]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "r2plus1d_34_clip8_ft_kinetics" in said and "--pretrained no" in said
    torch.save({}, tmp_path / "r2plus1d_34_kinetics.pth")
    monkeypatch.setenv("STATKIT_WEIGHTS", str(tmp_path))
    with pytest.raises(ValueError, match="does not fit"):
        build_model("r2plus1d_34", 5, pretrained=True)


def test_published_weights_of_the_largest_network_fit(tmp_path):
    """Their widths differ from torchvision's own rule in three layers; their head is ignored."""
    state = build_model("r2plus1d_34", 5).state_dict()
    widths = {f"blocks.{i}.0.conv2.0.0.weight": w for i, w in ((1, 288), (2, 576), (3, 1152))}
    assert {name: len(state[name]) for name in widths} == widths
    renamed = {
        re.sub(r"^blocks\.(\d)", lambda m: f"layer{int(m[1]) + 1}", name): values
        for name, values in state.items()
        if name.startswith(("stem.", "blocks."))
    }
    torch.save(renamed | {"fc.weight": torch.zeros(359, 512)}, tmp_path / "weights.pth")
    again = build_model("r2plus1d_34", 7, pretrained=tmp_path / "weights.pth")
    assert torch.equal(again.blocks[3][0].conv2[0][0].weight, state["blocks.3.0.conv2.0.0.weight"])


def test_readme_claims_and_lessons_name_the_papers_runs():
    named = {}
    for case in documented_commands():
        file = case.id.partition(":")[0]
        named.setdefault(file, set()).update(PRESETS.keys() & set(case.values[0]))
    assert named["README.md"] == named["CLAIMS.md"] == set(PRESETS)
    assert named["04_attention_transfer.ipynb"] == {"paper-resnet34"}
    assert named["10_motion.ipynb"] == {"paper-r2plus1d-18", "paper-two-stream"}


@pytest.mark.parametrize("words", list(documented_commands()))
def test_documented_commands_are_the_paper(words, dataset, monkeypatch, tmp_path):
    """From the words to the setting of every run: its preset's, unchanged."""
    monkeypatch.setenv("STATKIT_WEIGHTS", str(tmp_path))
    (tmp_path / "r2plus1d_34.pth").touch()
    options = _parser(words[0]).parse_args(words)
    preset = PRESETS[options.preset]
    if words[0] == "prepare":
        assert options.kind == preset.dataset.lower()
        return
    assert options.data.rstrip("/").endswith((preset.dataset, preset.dataset.lower()))
    config = chosen_config(options, dataset)
    assert config == preset.config
    assert options.seeds == [0] and not options.rows
    if words[0] == "tables":
        assert options.splits is None and options.table is None
        [job] = plan(preset.table, dataset, config, [0], [1], preset.rows)
        assert job.settings == (config,) and job.rows == preset.rows
