"""Images that nvImageCodec decodes against those of the CPU's decoder; here its own decoder for CPUs does the work."""

import pytest
import torch

from tests.trainables.test_decoding import FILES
from trainables.data import gpu_file_source
from trainables.data.batches import Batches
from trainables.data.catalog import DataError, locate
from trainables.data.file_source import FileSource
from trainables.data.gpu_file_source import GpuFileSource
from trainables.data.loading import FileImages, load
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig
from trainables.scattering.preflight import check

CPU = torch.device("cpu")
ALONE = Workers(rank=0, world_size=1, device=CPU)


@pytest.fixture
def images(tmp_path):
    paths = []
    for name, data in FILES.items():
        path = tmp_path / f"{name.replace(' ', '_').replace(':', '_')}.JPEG"
        path.write_bytes(data)
        paths.append(str(path))
    return FileImages(paths, torch.arange(len(paths)))


def read(source, images, key):
    parts = list(torch.randperm(len(images), generator=torch.Generator().manual_seed(3)).split(5))
    return [torch.cat(parts) if parts[0] is not None else None for parts in zip(*source.read(parts, key), strict=True)]


@pytest.mark.parametrize("key", [None, (7, "head", 1), (7, "head", 2)])
@pytest.mark.parametrize("size", [56, 224])
def test_crops_and_flips_are_those_of_the_cpu(images, key, size):
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    found, expected = (
        read(kind(images, image_size=size, num_loaders=2, device=CPU), images, key)
        for kind in (GpuFileSource, FileSource)
    )
    assert torch.equal(found[1], expected[1])
    assert (found[2] is None and expected[2] is None) or torch.equal(found[2], expected[2])
    assert found[0].shape == expected[0].shape
    assert found[0].dtype == torch.uint8
    of_images = (found[0].int() - expected[0].int()).abs().flatten(1).float().mean(1)
    assert of_images.max() < 0.5


def test_most_kinds_of_jpegs_are_decoded_by_the_library():
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    kinds = ("4:4:4", "4:2:2", "4:2:0", "progressive", "restart markers", "grey", "rotated")
    assert all(gpu_file_source.plain_jpeg(FILES[kind], gpu_file_source.COLOURS) for kind in kinds)
    found = gpu_file_source.decoded([(FILES[kind], (3, 5, 90, 70)) for kind in kinds], CPU)
    assert [tuple(one.shape) for one in found] == [(90, 70, 3)] * len(kinds)


@pytest.mark.parametrize("data", [b"text", b"", FILES["4:2:0"][:2000]])
def test_a_file_that_nobody_can_read_is_named(tmp_path, images, data):
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed")
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes(data)
    more = FileImages([*images.paths, str(broken)], torch.arange(len(images) + 1))
    source = GpuFileSource(more, image_size=32, num_loaders=2, device=CPU)
    with pytest.raises(DataError, match=r"broken\.JPEG cannot be read as an image"):
        read(source, more, (7, "head", 1))


def test_what_the_library_refuses_is_decoded_on_the_cpu(images, monkeypatch):
    monkeypatch.setattr(gpu_file_source, "decoded", lambda wanted, device: [None] * len(wanted))
    sources = (kind(images, image_size=32, num_loaders=2, device=CPU) for kind in (GpuFileSource, FileSource))
    found, expected = (read(source, images, (7, "head", 1)) for source in sources)
    assert all(torch.equal(own, theirs) for own, theirs in zip(found, expected, strict=True))


def test_without_a_gpu_the_cpu_decodes_and_it_is_said_once(tmp_path, capsys):
    for split in ("train", "val"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            (tmp_path / split / label / "1.JPEG").write_bytes(FILES["4:2:0"])
    info = locate("imagefolder", str(tmp_path), image_size=32)
    train, _ = load(info, train_size=1.0, val_split=0.0, seed=0)
    gpu_file_source.refusal.cache_clear()
    for _ in range(2):
        batches = Batches(info, train, global_batch_size=2, workers=ALONE, augment=True, seed=0, decode="gpu")
        assert batches.decoded_on == "cpu (there is no GPU)"
        assert isinstance(batches._source, FileSource)
    assert capsys.readouterr().err == "images are decoded on the CPU (there is no GPU)\n"


def test_images_in_memory_are_not_decoded():
    with pytest.raises(ValueError, match="decode=gpu is for folders of images; those of digits are in memory"):
        check(ScatteringConfig(decode="gpu"), 1)
