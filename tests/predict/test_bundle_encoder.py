from pathlib import Path

import numpy as np
import pytest

from mien.predict.bundle_encoder import bundle_encoder
from mien.predict.senses import Eye, WindowEar
from mien.runtime.bundle import find_bundle, read_bundle
from mien.schema.errors import BundleError
from mien.schema.inputs import ImageSpec, SoundSpec


def test_a_bundle_of_faces(tiny_encoders: dict[str, Path], rng) -> None:
    bundle = read_bundle(tiny_encoders["face"])
    encoder = bundle_encoder(bundle, threads=1)
    assert (encoder.name, encoder.modality, encoder.width) == ("tiny_face", "face", 12)
    assert encoder.weights == bundle.files["model.safetensors"]["sha256"]
    assert encoder.sense == Eye(spec=ImageSpec(size_px=16))
    given = rng.normal(size=(3, 3, 16, 16)).astype(np.float32)
    fields = given.reshape(3, 3, 2, 8, 2, 8).mean((3, 5)).reshape(3, 12)
    np.testing.assert_allclose(encoder.run(given), fields, atol=1e-5)


def test_a_bundle_of_voices(tiny_encoders: dict[str, Path], rng) -> None:
    encoder = bundle_encoder(read_bundle(tiny_encoders["sound"]), threads=1)
    assert (encoder.modality, encoder.width, encoder.sense) == ("sound", 16, WindowEar(spec=SoundSpec(n_mels=16)))
    given = rng.normal(size=(2, 1, 16, 128)).astype(np.float32)
    np.testing.assert_allclose(encoder.run(given), given.mean((1, 3)), atol=1e-5)


def test_the_bundle_that_ships_has_a_feature() -> None:
    encoder = bundle_encoder(find_bundle("product_cross_small"), threads=1)
    assert (encoder.modality, encoder.width) == ("face", 128)


def test_what_has_no_feature_is_refused(tiny_bundle: Path, tiny_detector: Path) -> None:
    with pytest.raises(BundleError, match=r"tiny answers logits and no feature"):
        bundle_encoder(read_bundle(tiny_bundle))
    with pytest.raises(BundleError, match=r"two_faces is fed image; an encoder reads single faces"):
        bundle_encoder(read_bundle(tiny_detector))


def test_a_network_of_face_and_voice_listens_alone(tmp_path: Path, rng) -> None:
    torch = pytest.importorskip("torch")
    from mien.deploy.export import onnx_graph
    from mien.models.gcsa_av import Config
    from mien.runtime.bundle import Bundle, write_bundle
    from mien.schema.labels import FERPLUS

    torch.manual_seed(0)
    config = Config.tiny()
    network = config.build(FERPLUS).eval()
    bundle = Bundle(
        path=tmp_path / "both",
        name="both",
        model="gcsa_av",
        model_config={},
        inputs=config.inputs(),
        labels=FERPLUS,
        task={"name": "fuse"},
        provenance={"recipe": "none", "seed": 0, "commit": "none", "data_fingerprint": "none"},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0", "training_data": "none"},
    )
    bundle = write_bundle(bundle, {"w": np.zeros(1, np.float16)}, onnx_graph(network, config.inputs()))
    encoder = bundle_encoder(bundle, threads=1)
    assert (encoder.modality, encoder.width) == ("sound", config.voice_width)
    given = rng.normal(size=(2, 1, 64, 128)).astype(np.float32)
    with torch.no_grad():
        expected = network.voice.forward_feature(network.voice.forward_maps(torch.from_numpy(given)))
    np.testing.assert_allclose(encoder.run(given), expected.numpy(), rtol=1e-2, atol=2e-3)


def test_no_torch_is_needed(without_torch, tiny_encoders: dict[str, Path]) -> None:
    without_torch(
        "import sys\nfrom mien.deploy.features import extract_features\nfrom mien.deploy.encoders import open_encoder\n"
        "assert open_encoder(sys.argv[1]).width == 12",
        str(tiny_encoders["face"]),
    )
