"""Trunks beside the networks of torchvision and timm that their names come from."""

import torch
from torchvision.models.densenet import DenseNet as PublishedDenseNet
from torchvision.models.regnet import BlockParams
from torchvision.models.regnet import RegNet as PublishedRegNet

from mien.models.checkpoints import load_foreign
from mien.models.layers.densenet import DenseNet
from mien.models.layers.inception_resnet import InceptionResnetV1
from mien.models.layers.regnet import RegNetY
from mien.models.layers.vit import VisionTransformer
from mien.models.layers.window_attention import WindowAttention, relative_places


def test_regnet_is_that_of_torchvision(tmp_path):
    torch.manual_seed(0)
    params = BlockParams(
        depths=[1, 2, 1, 1], widths=[8, 16, 24, 32], group_widths=[8] * 4, bottleneck_multipliers=[1.0] * 4,
        strides=[2] * 4, se_ratio=0.25,
    )  # fmt: skip
    theirs = PublishedRegNet(params, num_classes=3, stem_width=16)
    path = tmp_path / "regnet.pth"
    torch.save(theirs.state_dict(), path)
    ours = RegNetY((8, 16, 24, 32), (1, 2, 1, 1), 8, 16)
    load_foreign(ours, path, min_fraction=1.0)
    classifier, theirs.fc = theirs.fc, torch.nn.Identity()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(image), theirs.eval()(image))
    assert classifier.in_features == ours.width


def test_densenet_is_that_of_torchvision_by_new_and_old_names(tmp_path):
    torch.manual_seed(0)
    theirs = PublishedDenseNet(4, (1, 2, 1, 1), 8, num_classes=3)
    state = theirs.state_dict()
    old = {n.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): t for n, t in state.items()}
    theirs.classifier = torch.nn.Identity()
    image = torch.randn(2, 3, 64, 64)
    for number, tensors in enumerate((state, old)):
        ours, path = DenseNet(4, (1, 2, 1, 1), 8), tmp_path / f"{number}.pth"
        torch.save(tensors, path)
        report = load_foreign(ours, path, min_fraction=1.0)
        assert (report.missing, report.unexpected) == ((), ())
        with torch.no_grad():
            torch.testing.assert_close(ours.eval()(image), theirs.eval()(image))


def test_counts_and_names():
    with torch.device("meta"):
        face, vit, dense, regnet = InceptionResnetV1(), VisionTransformer(), DenseNet(), RegNetY()
    counts = [round(sum(p.numel() for p in m.parameters()) / 1e6, 2) for m in (face, vit, dense, regnet)]
    assert counts == [23.48, 85.8, 6.95, 10.31]
    assert [m.width for m in (face, vit, dense, regnet)] == [512, 768, 1024, 888]
    names = set(face.state_dict())
    assert len(names) == 714
    assert {"conv2d_1a.conv.weight", "repeat_1.4.branch2.2.bn.bias", "mixed_6a.branch1.0.conv.weight",
            "mixed_7a.branch0.1.conv.weight", "block8.conv2d.bias", "last_bn.running_mean"} <= names  # fmt: skip


def test_vgg_and_casia_files_fit(tmp_path):
    network = InceptionResnetV1(1, 8)
    for classes in (8631, 10575):
        tensors = {n: torch.rand_like(t) if t.is_floating_point() else t for n, t in network.state_dict().items()}
        more = {"logits.weight": torch.zeros(classes, 8), "logits.bias": torch.zeros(classes)}
        torch.save({**tensors, **more}, tmp_path / "face.pt")
        report = load_foreign(network, tmp_path / "face.pt", min_fraction=1.0)
        assert report.left_out == ("logits.weight", "logits.bias")
        assert all(torch.equal(t, tensors[n]) for n, t in network.state_dict().items())
    with torch.no_grad():
        assert network.eval()(torch.randn(1, 3, 75, 75)).shape == (1, 8)


def test_relative_places_are_the_ways_between_cells():
    table = relative_places(3)
    assert table[4, 4] == 12
    assert table[0, 8] == 0
    assert table[8, 0] == 24
    attention = WindowAttention(8, 2, 3)
    assert attention.bias().shape == (2, 9, 9)
    torch.testing.assert_close(attention.bias()[:, 0, 1], attention.bias()[:, 4, 5])
