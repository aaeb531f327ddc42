"""What a model's folder must hold, told from settings and headers before anything is queued; the rest when it loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from semievol.engines.local import LocalEngine
from semievol.engines.models import suitability
from semievol.engines.models.architectures import CAUSAL
from semievol.engines.models.files import FULL_WEIGHTS
from semievol.errors import UserError
from semievol.presets import load
from tests.engines.conftest import ask
from tests.tiny_model import make_experts, make_gpt2


@pytest.fixture
def copy(qwen: Path, tmp_path: Path) -> Path:
    """A whole model whose output layer is not its embedding."""
    return Path(shutil.copytree(qwen, tmp_path / "copy"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gpt2(tmp_path_factory.mktemp("gpt2"))


def settings(folder: Path, **changed: object) -> None:
    file = folder / "config.json"
    kept = {key: value for key, value in (json.loads(file.read_text()) | changed).items() if value is not None}
    file.write_text(json.dumps(kept))


def without(folder: Path, leave_out: Callable[[str], bool]) -> None:
    weights = load_file(folder / FULL_WEIGHTS)
    kept = {name: tensor for name, tensor in weights.items() if not leave_out(name)}
    save_file(kept, folder / FULL_WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("lm_head.weight", r"1 weight is missing from the model's files \(lm_head\.weight\)"),
        ("model.embed_tokens.weight", r"\(embed_tokens\.weight\)"),
        ("model.layers.1.mlp.down_proj.weight", r"\(model\.layers\.1\.mlp\.down_proj\.weight\)"),
        ("model.layers.0.", r"\(model\.layers\.0\)"),
    ],
)
def test_missing_weights_are_told_by_name_before_anything_is_loaded(copy, gone, said):
    without(copy, lambda name: name.startswith(gone))
    with pytest.raises(UserError, match=said) as refused:
        suitability.suitable(str(copy))
    assert "Copy or download" in refused.value.remedy


@pytest.mark.parametrize("how", ["a weight that the headers do not show to be needed", "a size"])
def test_what_only_the_loader_sees_is_told_by_name_too(copy, how):
    if how == "a size":
        settings(copy, intermediate_size=50)
    else:
        without(copy, lambda name: name == "model.norm.weight")
    suitability.check(copy)
    with pytest.raises(UserError, match=r"mlp\.down_proj.*, …\)" if how == "a size" else r"\(model\.norm\.weight\)"):
        LocalEngine(str(copy), threads=1)


def test_a_tied_output_layer_is_not_missing(llama, gpt2):
    for folder in (llama, gpt2):
        assert not any("lm_head" in name for name in load_file(folder / FULL_WEIGHTS))
        suitability.check(folder)


def test_the_architectures_are_those_that_transformers_builds():
    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) == CAUSAL


def test_an_architecture_that_transformers_does_not_build_is_refused_before_it_is_loaded(copy):
    for kind, name in (("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration"), ("brand_new", "BrandNewForCausalLM")):
        settings(copy, model_type=kind, architectures=[name])
        with pytest.raises(UserError, match=f'"{kind}" are not among those') as refused:
            suitability.suitable(str(copy))
        assert "update the Studio" in refused.value.remedy


def test_settings_of_another_architecture_are_refused(llama, gpt2, tmp_path):
    folder = Path(shutil.copytree(gpt2, tmp_path / "mixed"))
    shutil.copyfile(llama / "config.json", folder / "config.json")
    with pytest.raises(UserError, match=r"embed_tokens\.weight"):
        suitability.check(folder)


def test_the_table_of_families_is_what_transformers_builds():
    for kind, family in suitability.FAMILIES.items():
        config = AutoConfig.for_model(kind)
        assert config.tie_word_embeddings == family.tied, kind
        if kind not in ("llama", "gpt2", "bloom", "gpt_neox", "opt", "mixtral"):
            continue  # loading the code of every architecture takes half a minute on a busy machine
        config.num_hidden_layers = 2
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        held: dict[str, Sequence[int]] = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        assert suitability._missing(family, config.to_dict(), held) == [], kind
        assert suitability._missing(family, config.to_dict(), {}), kind


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"architectures": ["BertModel"]}, "BertModel is no causal language model"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "T5ForConditionalGeneration"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "does not write text"),
    ],
)
def test_a_model_that_does_not_write_is_refused(copy, names, said):
    settings(copy, **names)
    with pytest.raises(UserError, match=said):
        suitability.suitable(str(copy))


@pytest.mark.parametrize(
    ("small", "said", "remedy"),
    [
        ({"load_in_4bit": True, "quant_method": "bitsandbytes"}, "needs the package bitsandbytes", "pip install bits"),
        ({"load_in_4bit": True}, "needs the package bitsandbytes", "original weights"),
        ({"quant_method": "gptq", "bits": 4}, r"\(gptq\), which needs the package gptqmodel", "pip install gptqmodel"),
        ({"quant_method": "awq"}, "needs the package gptqmodel", "original weights"),
        ({"quant_method": "quanto"}, "needs the package optimum-quanto", "original weights"),
        ({"quant_method": "fp8"}, r"\(fp8\), which cannot be trained here", "bf16 or fp32"),
        ({"quant_method": "mxfp4"}, r"\(mxfp4\), which cannot be trained here", "bf16 or fp32"),
    ],
)
def test_weights_in_few_bits_are_refused_where_their_library_is_missing(copy, monkeypatch, small, said, remedy):
    monkeypatch.setattr(suitability.importlib.util, "find_spec", lambda name: None)
    settings(copy, quantization_config=small)
    with pytest.raises(UserError, match=said) as refused:
        suitability.suitable(str(copy))
    assert remedy in refused.value.remedy


def test_with_its_library_such_a_model_is_let_through(copy, monkeypatch):
    monkeypatch.setattr(suitability.importlib.util, "find_spec", lambda name: name)
    settings(copy, quantization_config={"quant_method": "bitsandbytes"})
    suitability.check(copy)


def test_an_embedder_given_as_a_model_is_refused_even_without_weights_at_its_root(copy, tmp_path):
    (copy / "modules.json").write_text("[]")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config_sentence_transformers.json").write_text("{}")
    for folder in (copy, tmp_path / "bare"):
        with pytest.raises(UserError, match="is an embedder: it compares texts") as refused:
            suitability.suitable(str(folder))
        assert "propagation.embedder" in refused.value.remedy


def test_a_language_model_given_as_an_embedder_is_refused(copy):
    with pytest.raises(UserError, match='"copy" is a language model, not an embedder') as refused:
        suitability.check_embedder(str(copy))
    assert "`model`" in refused.value.remedy
    (copy / "modules.json").write_text("[]")
    suitability.check_embedder(str(copy))  # made into an embedder, as some language models are
    for name in ("/not/there", "nonsense"):
        with pytest.raises(UserError, match="no embedder") as refused:
            suitability.check_embedder(name)
        assert "char-tfidf" in refused.value.remedy
    with pytest.raises(UserError, match='The embedder "someone/embedder" is not on this machine'):
        suitability.fetch_embedder("someone/embedder")
    suitability.fetch_embedder("char-tfidf")
    for name in ("char-tfidf", "model", "someone/embedder"):
        suitability.check_embedder(name)


def test_what_a_person_should_know_of_a_model_is_said(llama, gpt2, tmp_path):
    experts = make_experts(tmp_path / "mixtral", "mixtral")
    plain, dropout = load("paper"), load("paper", None, ["tune.lora.dropout=0.1"])
    assert suitability.remarks(llama, dropout) == []
    assert suitability.remarks(gpt2, plain) == [suitability.NO_TEMPLATE]
    assert suitability.remarks(experts, plain) == []
    assert suitability.remarks(experts, dropout) == [suitability.NO_EXPERTS]


def test_a_base_model_answers_in_the_plain_template(gpt2):
    assert not suitability.has_template(gpt2)
    engine = LocalEngine(str(gpt2), threads=1)
    assert engine.base.chat.plain
    assert all(abs(sum(reply.probabilities) - 1) < 1e-9 for reply in engine.answer(ask("base")))
