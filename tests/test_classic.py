import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import bigsharp
from bigsharp import classic, weights
from bigsharp.benchmark.published import find
from bigsharp.benchmark.run import benchmark
from bigsharp.classic import patches
from bigsharp.classic.dictionary import learn_atoms, pursue
from bigsharp.classic.forest import Forest, Growth, best_split, share
from bigsharp.classic.rfl import RFL
from bigsharp.classic.train import Settings, couple, nearest_samples, train
from bigsharp.errors import BigsharpError
from bigsharp.image.resize import imresize
from bigsharp.networks.export import export
from bigsharp.restoration.models import available_models
from bigsharp.scoring import metrics
from bigsharp.weights import file
from bigsharp.weights.file import Learned

METHODS = sorted(classic.METHODS)

#: As the papers', but small.
SMALL = Settings(
    atoms=48,
    rounds=4,
    samples=20_000,
    neighbours=400,
    trees=4,
    growth=Growth(depth=8, smallest=60),
    shared=48,
)


def plane(height: int, width: int, shift: float = 0) -> np.ndarray:
    """Edges and waves, float32 in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width] + shift
    waves = np.sin(np.hypot(y - 20, x - 30) ** 2 / 90) + np.sign(np.sin(0.31 * x + 0.17 * y))
    return (0.5 + 0.22 * waves).astype(np.float32)


def photo(height: int, width: int, shift: float = 0) -> np.ndarray:
    return np.round(plane(height, width, shift) * 255).astype(np.uint8)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def learned() -> Callable[[str], Learned]:
    images = [photo(90, 120, shift) for shift in (0, 7.3, 31)]
    made: dict[str, Learned] = {}

    def learn(name: str) -> Learned:
        if name not in made:
            made[name] = train(name, 2, images, SMALL)
        return made[name]

    return learn


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_features_are_the_papers_filters_on_the_ilr_image(scale: int) -> None:
    lr = np.random.default_rng(scale).random((11, 13))
    ilr = imresize(lr, scale)
    # The patch around LR pixel (5, 6), and the same moved along or across.
    top, left, side = 4 * scale, 5 * scale, 3 * scale

    def moved(down: int, right: int) -> np.ndarray:
        return ilr[top + down : top + down + side, left + right : left + right + side]

    half, rest = scale // 2, scale - scale // 2
    expected = [
        moved(0, rest) - moved(0, -half),
        moved(rest, 0) - moved(-half, 0),
        moved(0, scale) / 2 - moved(0, 0) + moved(0, -scale) / 2,
        moved(scale, 0) / 2 - moved(0, 0) + moved(-scale, 0) / 2,
    ]
    seen = patches.surroundings(lr)
    assert seen.shape == (3 * 5, 81)
    found = patches.gradient_map(scale) @ seen[1 * 5 + 2]
    assert found == pytest.approx(np.ravel(expected), abs=1e-12)


@pytest.mark.parametrize("scale", [2, 3])
def test_overlapping_patches_of_a_plane_give_it_back(scale: int) -> None:
    given = np.random.default_rng(0).random((9 * scale, 7 * scale))
    # 7 × 5 patches; all nine of a pixel's are there 2 LR pixels from the border.
    inside = given[2 * scale : -2 * scale, 2 * scale : -2 * scale]
    assert patches.overlapped(patches.cut(given, scale), 5, 3, scale) == pytest.approx(inside)


def test_pursuit_finds_the_atoms_that_a_signal_is_made_of() -> None:
    random = np.random.default_rng(0)
    atoms = np.linalg.qr(random.normal(size=(12, 12)))[0].astype(np.float32)
    signals = (np.array([[3, -2, 1]]) @ atoms[[4, 9, 2]]).astype(np.float32)
    chosen, shares = pursue(signals, atoms, 3)
    assert chosen.tolist() == [[4, 9, 2]]
    assert shares == pytest.approx(np.array([[3, -2, 1]]), abs=1e-4)


def test_what_pursuit_leaves_is_orthogonal_to_its_atoms() -> None:
    random = np.random.default_rng(1)
    atoms, signals = unit(random.normal(size=(40, 10))), unit(random.normal(size=(200, 10)))
    chosen, shares = pursue(signals, atoms, 3)
    rest = signals - np.einsum("nk,nkd->nd", shares, atoms[chosen])
    assert np.abs(np.einsum("nd,nkd->nk", rest, atoms[chosen])).max() < 1e-4
    assert (np.linalg.norm(rest, axis=1) < 1).all()


def test_ksvd_finds_the_dictionary_behind_signals() -> None:
    random = np.random.default_rng(2)
    truth = unit(random.normal(size=(20, 16)))
    codes = np.zeros((3000, 20))
    for row in codes:
        row[random.choice(20, 2, replace=False)] = random.normal(size=2)
    atoms = learn_atoms((codes @ truth).astype(np.float32), 20, 2, 30, seed=0)
    assert np.linalg.norm(atoms, axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    # Up to its sign, nearly every atom of the truth is there.
    assert (np.abs(truth @ atoms.T).max(axis=1) > 0.99).sum() >= 17


def test_coupled_patches_give_the_residuals_of_the_codes() -> None:
    random = np.random.default_rng(3)
    atoms = unit(random.normal(size=(8, 8)))
    features = random.normal(size=(500, 8)).astype(np.float32)
    chosen, shares = pursue(features, atoms, 3)
    truth = random.normal(size=(8, 36))
    residuals = np.einsum("nk,nkp->np", shares, truth[chosen])
    assert couple(atoms, features, residuals) == pytest.approx(truth, abs=1e-3)


@given(st.integers(1, 3000), st.integers(1, 400), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_nearest_are_those_that_sorting_finds(size: int, count: int, seed: int) -> None:
    closeness = np.random.default_rng(seed).random(size).astype(np.float32)
    found = nearest_samples(closeness, count)
    assert sorted(closeness[found]) == sorted(closeness)[-min(count, size) :]


def test_the_best_split_parts_what_differs() -> None:
    features = np.random.default_rng(4).normal(size=(400, 6)).astype(np.float32)
    beyond = features[:, 4] - features[:, 1] >= 0.5
    joint = np.where(beyond, 3, -2)[:, None].astype(np.float32)
    first, second, threshold = best_split(features, joint, 5000, np.random.default_rng(5))
    found = features[:, first] - features[:, second] >= threshold
    # Less where the features come the other way round.
    assert (found if first == 4 else ~found).tolist() == pytest.approx(beyond.tolist(), abs=0.1)
    assert {first, second} == {1, 4}


def forest_of(
    features: np.ndarray, residuals: np.ndarray, trees: int, count: int, **growth: float
) -> RFL:
    random, forest = np.random.default_rng(6), Forest()
    for _ in range(trees):
        forest.plant(features, residuals, Growth(**growth), random)  # type: ignore[arg-type]
    energies = np.array(forest.energies)
    moment = (features.T @ features).astype(float)
    shares, shared = share(np.array(forest.regressors), energies, moment, count)
    return RFL(
        2,
        np.zeros((81, features.shape[1])),
        np.array(forest.roots),
        np.array(forest.pairs, int).reshape(-1, 2),
        np.array(forest.thresholds),
        np.array(forest.children, int).reshape(-1, 2),
        shares,
        shared,
        np.eye(residuals.shape[1], 36),
    )


def test_a_forest_learns_what_is_linear_in_parts() -> None:
    random = np.random.default_rng(7)
    features = random.normal(size=(6000, 5)).astype(np.float32)
    features *= np.sign(features[:, :1])
    low, high = random.normal(size=(2, 5, 36))
    parted = features[:, 2] - features[:, 3] < 0.4
    truth = np.where(parted[:, None], features @ low, features @ high)
    rfl = forest_of(features, truth.astype(np.float16), 8, 30, depth=6, smallest=50)
    assert np.square(rfl.predict(features) - truth).mean() < 0.03 * np.square(truth).mean()
    # One product for all would leave most of it.
    one = forest_of(features, truth.astype(np.float16), 1, 30, depth=0)
    assert np.square(one.predict(features) - truth).mean() > 0.2 * np.square(truth).mean()
    # A patch's negative has the negative for a residual.
    assert np.array_equal(rfl.predict(-features), -rfl.predict(features))


def test_leaves_hold_as_many_patches_as_they_must_and_lie_no_deeper_than_they_may() -> None:
    features = np.abs(np.random.default_rng(8).normal(size=(900, 4))).astype(np.float32)
    rfl = forest_of(features, features.astype(np.float16), 3, 4, depth=4, smallest=40)
    leaves = rfl.leaves(features)
    assert leaves.shape == (3, 900)
    sizes = [np.unique(tree, return_counts=True)[1] for tree in leaves]
    assert min(map(min, sizes)) >= 40
    assert max(map(len, sizes)) <= 2**4
    assert sum(map(len, sizes)) == len(rfl.shares)


def test_shared_regressors_give_the_leaves_back() -> None:
    random = np.random.default_rng(9)
    regressors = np.einsum(
        "lk,kdr->ldr", random.normal(size=(50, 6)), random.normal(size=(6, 8, 9))
    )
    seen = random.normal(size=(500, 8))
    shares, shared = share(regressors.astype(np.float32), np.ones(50), seen.T @ seen, 6)
    assert shares.dtype == np.int8
    # To the 8 bits of their shares.
    again = np.einsum("lk,kdr->ldr", shares.astype(float), shared)
    assert np.abs(again - regressors).max() < 0.03 * np.abs(regressors).max()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_to_restore(name: str, learned: Callable[[str], Learned]) -> None:
    method = classic.build(learned(name))
    hr = plane(96, 96, 50)
    lr = imresize(hr, 0.5)
    gain = metrics.psnr(method.restore(lr), hr, border=4, peak=1) - metrics.psnr(
        imresize(lr, 2.0), hr, border=4, peak=1
    )
    assert gain > 1


@pytest.mark.parametrize("name", METHODS)
def test_tiles_do_not_show(
    name: str, learned: Callable[[str], Learned], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = classic.build(learned(name))
    lr = plane(50, 61)
    whole = method.restore(lr)
    monkeypatch.setattr(patches, "_TILE", 7)
    assert len(list(method.parts(lr))) == 8 * 9
    assert np.abs(method.restore(lr) - whole).max() < 1e-5


@pytest.mark.parametrize("name", ["aplus", "rfl"])
def test_the_same_images_and_seed_give_the_same_weights(
    name: str, learned: Callable[[str], Learned]
) -> None:
    images = [photo(90, 120, shift) for shift in (0, 7.3, 31)]
    again = train(name, 2, images, SMALL)
    for key, values in learned(name).state.items():
        assert np.array_equal(again.state[key], values)


def test_sparse_coding_and_neighbour_embedding_learn_the_same(
    learned: Callable[[str], Learned],
) -> None:
    sparse, neighbours = learned("sparse").state, learned("neighbours").state
    assert sparse.keys() == neighbours.keys()
    assert all(np.array_equal(sparse[name], neighbours[name]) for name in sparse)


def test_weights_come_back_from_their_file(
    learned: Callable[[str], Learned], tmp_path: Path
) -> None:
    packed = learned("aplus")
    path = tmp_path / "mine.safetensors"
    path.write_bytes(file.to_bytes(packed))
    read = file.read_learned(path)
    assert (read.architecture, read.options, read.scales) == ("aplus", {"scale": 2}, (2,))
    assert all(np.array_equal(read.state[name], packed.state[name]) for name in packed.state)


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(BigsharpError, match=r"hold 16 patches at ×2 that are not flat, fewer"):
        train("sparse", 2, [photo(24, 24)], Settings())
    with pytest.raises(BigsharpError, match=r"hold 0 patches at ×2 that are not flat, fewer"):
        train("aplus", 2, [np.full((90, 90), 7, np.uint8)], SMALL)


def test_a_forest_needs_the_patches_of_a_leaf() -> None:
    with pytest.raises(BigsharpError, match=r"hold 16 patches at ×2 .* the 200 that rfl"):
        train("rfl", 2, [photo(24, 24)], Settings())
    # Of fewer than two leaves' patches, one regressor is learned.
    few = train("rfl", 2, [photo(34, 34)], replace(SMALL, zooms=1))
    assert few.state["children"].shape == (0, 2)
    assert classic.build(few).restore(plane(9, 9)).shape == (18, 18)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (5, 3)])
def test_a_picture_smaller_than_a_patch(name: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with warnings.catch_warnings(action="error"):
        for scale in (1.3, 2, 2.5, 4, 9):
            result = bigsharp.upscale(picture, scale, model=name)
            assert result.shape == (*(-(-round(n * scale * 10) // 10) for n in size), 3)
            assert np.abs(result.mean() - picture.mean()) < 40


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_constant_picture_stays_constant(name: str, value: int) -> None:
    with warnings.catch_warnings(action="error"), np.errstate(all="raise"):
        for scale in (1.5, 3):
            assert (
                bigsharp.upscale(np.full((14, 9), value, np.uint8), scale, model=name) == value
            ).all()


@pytest.mark.parametrize("name", METHODS)
def test_another_scale_takes_the_next_larger_model_and_resizes(name: str) -> None:
    lr = plane(20, 24).astype(np.float64)
    for scale, taken in ((1.4, 2), (2.1, 3), (3.4, 4), (5.5, 4)):
        result = bigsharp.upscale(lr, scale, model=name)
        trained = bigsharp.upscale(lr, taken, model=f"{name}-x{taken}")
        assert result.shape != trained.shape
        expected = imresize(trained.astype(np.float32), scale / taken)
        rows, columns = (slice(0, n) for n in result.shape)
        assert np.abs(result - np.clip(expected[rows, columns], 0, 1)).max() < 1e-4


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("aplus", ("--scale", "2.5"), ", restored at ×3 and shrunk)"),
        ("aplus", ("--width", "200"), ", restored at ×4 and enlarged)"),
        ("aplus", ("--scale", "3"), " s)"),
        ("aplus", ("--scale", "1"), " s)"),
        ("aplus", ("--scale", "2", "--ensemble"), " s)"),
        ("srcnn", ("--scale", "2.5"), ", restored at ×3 and shrunk)"),
        ("vdsr", ("--scale", "1.2"), ", restored at ×1.5 and shrunk)"),
        ("vdsr", ("--scale", "8"), " s)"),
        ("glasner", ("--scale", "1.7"), " s)"),
    ],
)
def test_a_model_that_restores_at_another_scale_says_so(
    model: str,
    options: tuple[str, ...],
    says: str,
    tmp_path: Path,
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    Image.fromarray(photo(18, 24)).save(tmp_path / "a.png")
    done = command("upscale", "a.png", "-m", model, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(says)
    assert done.stdout.count("(") == done.stdout.count("\n") == 1
    assert ("restored" in done.stdout) == ("restored" in says)


def test_kinds_of_pixels_are_kept(texture: np.ndarray) -> None:
    deep = texture[..., 0].astype(np.uint16) * 257
    assert bigsharp.upscale(deep, 2, model="aplus").dtype == np.uint16
    alpha = np.dstack([texture, np.full(texture.shape[:2], 128, np.uint8)])
    result = bigsharp.upscale(
        alpha, size=bigsharp.Size(width=150, height=121, stretch=True), model="aplus"
    )
    assert result.shape == (121, 150, 4)
    assert (result[..., 3] == 128).all()
    grey = bigsharp.upscale(texture[..., 0], 3, model="aplus").astype(int)
    same = bigsharp.upscale(np.dstack([texture[..., 0]] * 3), 3, model="aplus").astype(int)
    # Luma of a grey RGB picture spans 16 to 235, so that its features are shorter.
    assert np.abs(same - grey[..., None]).max() <= 12


def test_damaged_weights_are_one_line(learned: Callable[[str], Learned], tmp_path: Path) -> None:
    packed = learned("aplus")
    path = tmp_path / "mine.safetensors"

    def refused(**state: np.ndarray) -> str:
        changed = Learned(packed.architecture, packed.options, (2,), {**packed.state, **state})
        path.write_bytes(file.to_bytes(changed))
        with pytest.raises(BigsharpError) as error:
            bigsharp.upscale(np.zeros((9, 9), np.uint8), 2, model=path)
        return str(error.value)

    broken = packed.state["anchors"].copy()
    broken[3, 2] = np.nan
    assert refused(anchors=broken) == f"{path}: its weights are damaged: some are NaN or infinite"
    assert f"{path}: the weights are no aplus's" in refused(basis=np.zeros((3, 36), np.float32))
    assert f"{path}: the weights are no aplus's" in refused(more=np.zeros(3, np.float32))


def test_trees_that_lead_astray_are_refused(learned: Callable[[str], Learned]) -> None:
    packed = learned("rfl")

    def refused(node: int, child: int) -> str:
        children = packed.state["children"].copy()
        children[node, 1] = child
        state = {**packed.state, "children": children}
        with pytest.raises(BigsharpError) as error:
            classic.build(Learned("rfl", packed.options, (2,), state))
        return str(error.value)

    splits, leaves = len(packed.state["pairs"]), len(packed.state["shares"])
    deep = "the weights are no rfl's (its trees are deeper than 64)"
    assert refused(7, 3) == refused(7, 7) == deep
    bounds = f"the weights are no rfl's (children are not all from {-leaves} to {splits - 1})"
    assert refused(7, splits) == refused(7, -1 - leaves) == bounds


def test_run_time_needs_no_pytorch(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((12, 12), np.uint8)).save(tmp_path / "a.png")
    modules = [f"bigsharp.classic.{p.stem}" for p in Path(classic.__path__[0]).glob("[a-z]*.py")]
    assert len(modules) >= 5
    script = (
        "import sys, importlib, bigsharp\n"
        "sys.modules.update(dict.fromkeys(('torch', 'onnxruntime', 'scipy', 'sklearn', 'numba')))\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "import bigsharp.training.classic\n"
        f"for name in {METHODS}: bigsharp.upscale('a.png', 2, model=name, output=name + '.png')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert len(list(tmp_path.glob("*.png"))) == 1 + len(METHODS)


def test_train_writes_a_model_that_upscales(
    tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "photos").mkdir()
    for k in range(2):
        pixels = photo(90, 120, 9 * k)
        Image.fromarray(pixels).save(tmp_path / f"photos/{k}.png")
    Image.fromarray(pixels[:10, :10]).save(tmp_path / "photos/small.png")
    done = command("train", "sparse", "--data", "photos", "--scale", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path("runs/sparse/sparse-x2.safetensors"))
    assert "small.png: 10×10, smaller than a patch needs (18)" in done.stderr
    made = tmp_path / "runs/sparse/sparse-x2.safetensors"
    done = command("upscale", "photos/0.png", "-m", made, "-o", "big.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "big.png").size == (240, 180)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "Set5"], "Set5 is a test set; nothing is trained on it"),
        (["--scale", "2.5"], "aplus learns whole scales of at least 2, not 2.5"),
        (["--scale", "17"], "aplus learns whole scales of at least 2, not 17; at most 16"),
        (["--scale", ""], "an empty list was given"),
        (["--data", ""], "an empty list was given"),
        (["--resume"], "aplus is no network and learns in one go"),
        (["--device", "cuda"], "aplus is no network and learns in one go"),
    ],
)
def test_training_options_that_do_not_fit(
    words: list[str],
    says: str,
    tmp_path: Path,
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = command("train", "aplus", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_where_a_model_cannot_be_written_is_said_before_it_is_learned(
    tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo(90, 120)).save(tmp_path / "photos/0.png")
    photos = ("--data", "photos", "--scale", "2")
    done = command("train", "sparse", *photos, "-o", "photos/0.png", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "sparse-x2.safetensors: cannot be written (Not a directory)" in done.stderr


def test_what_needs_no_training_is_said(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = command("train", "selfex")
    assert done.returncode == 2
    assert done.stderr == (
        "bigsharp: selfex learns from the picture it restores, and is not trained\n"
    )


def test_a_missing_model_says_which_command_makes_it() -> None:
    with pytest.raises(BigsharpError, match=r"`bigsharp train aplus --scale 5` makes it, as runs"):
        bigsharp.load("aplus-x5")
    for name in ("aplus-xl", "aplus-x17", "vdsr-x5"):
        with pytest.raises(BigsharpError, match=f"no model is called '{name}'; "):
            bigsharp.load(name)


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_what_is_no_network_is_not_exported(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(BigsharpError, match=r"aplus-x2.safetensors: its aplus is no network"):
        export("aplus-x2", tmp_path / f"a{suffix}")


@pytest.mark.parametrize("name", METHODS)
def test_a_model_a_scale_is_released(name: str) -> None:
    members = [f"{name}-x{scale}" for scale in (2, 3, 4)]
    assert set(members) <= set(weights.names())
    assert name in available_models()
    for member in members:
        path = weights.path(member, file.SUFFIX)
        assert path.stat().st_size < 5_000_000
        method = classic.build(file.read_learned(path))
        assert method.parameters == weights.card(member)["parameters"]


@pytest.mark.parametrize(
    "name",
    ["aplus", *(pytest.param(n, marks=pytest.mark.slow) for n in METHODS if n != "aplus")],
)
def test_scores_on_set5_are_those_of_the_card(name: str, image_sets: Path) -> None:
    for result in benchmark(["Set5"], [2, 3, 4], [name], root=image_sets):
        rows = weights.card(f"{name}-x{result.scale:g}")["measured"]
        row = next(row for row in rows if row["data"] == "Set5")
        assert result.mean.psnr == pytest.approx(row["psnr"], abs=0.002)
        assert result.mean.ssim == pytest.approx(row["ssim"], abs=1e-4)


@pytest.mark.parametrize(("name", "title", "within"), [("aplus", "A+", 0.1), ("rfl", "RFL", 0.15)])
def test_scores_are_those_published(name: str, title: str, within: float) -> None:
    for scale in (2, 3, 4):
        for row in weights.card(f"{name}-x{scale}")["measured"]:
            entry = find(row["data"], scale, name)
            assert entry is not None
            assert entry.method == title
            assert row["psnr"] > entry.psnr - within
