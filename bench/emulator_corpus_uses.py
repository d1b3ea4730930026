"""The uses of the corpus: public functions of Liger Kernel and flash-linear-attention, with small arguments.

A line of a table: function, arguments (see `emulator_corpus_arguments`), and after `=>` the package's own reference in
torch, if it has one. Functions are called forward and, where a result has a gradient, backward.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from emulator_corpus_arguments import draw, tensors

_SEED = 21
_LIGER = """
ops:LigerAttnResFunction.apply V:tensor(3,2,8,64) w:tensor(64) w_norm:tensor(64) eps=1e-6
transformers.functional:liger_cross_entropy input:tensor(8,64) target:classes
transformers.functional:liger_cross_entropy#options input:bfloat(8,100) target:classes(8,100) label_smoothing=0.1 \
lse_square_scale=1e-3 softcap=5.0 return_z_loss=True return_token_accuracy=True
transformers.functional:liger_dyt x:tensor(2,8,64) alpha:tensor(1) gamma:tensor(64) beta:tensor(64)
transformers.functional:liger_fused_add_rms_norm X:tensor(2,8,64) R:tensor(2,8,64) W:tensor(64) eps=1e-6
transformers.functional:liger_fused_linear_cross_entropy input:bfloat(8,64) weight:bfloat(100,64) target:classes(8,100)
transformers.functional:liger_fused_linear_jsd student_input:tensor(8,64) student_weight:tensor(100,64) \
teacher_input:tensor(8,64) teacher_weight:tensor(100,64)
transformers.functional:liger_fused_linear_kl_div student_input:tensor(8,64) student_weight:tensor(100,64) \
target:probability(8,100)
ops.fused_linear_scaled_cross_entropy:_FusedLinearPPOFallbackFunction.apply input:bfloat(16,64) weight:bfloat(128,64) \
target:classes(16,128) temperature=1.0 ignore_index=-100 return_entropy=False
ops:LigerFusedCETVDFunction.apply student:tensor(8,64) teacher:tensor(8,64) target:classes(8,64)
ops:LigerFusedMoEFunction.apply x:half(16,64) gate_up:half(4,128,64) down:half(4,64,64) \
index:classes(16,2,4) weights:half(16,2)
transformers.functional:liger_fused_neighborhood_attention query:tensor(1,2,32,32) key:tensor(1,2,32,32) \
value:tensor(1,2,32,32)
transformers.functional:liger_geglu a:tensor(2,8,64) b:tensor(2,8,64)
transformers.functional:liger_group_norm X:tensor(2,8,64) affine_scaling_weight:tensor(8) \
affine_shifting_bias:tensor(8) num_channels=8 num_groups=4 eps=1e-6
ops:GrpoLossFunction.apply logits:tensor(2,9,64) old:log_probability(2,8) ref:log_probability(2,8) \
ids:classes(2,8,64) advantages:positive(2) mask=None temperature=0.9 beta=0.04 eps_low=0.2 eps_high=0.4 inplace=False
transformers.functional:liger_jsd input:log_probability(8,64) target:log_probability(8,64)
transformers.functional:liger_kl_div input:log_probability(8,64) target:probability(8,64)
transformers.functional:liger_layer_norm X:tensor(2,8,64) W:tensor(64) B:tensor(64) eps=1e-6
ops:LigerLlama4RopeFunction.apply q:tensor(1,8,2,32) k:tensor(1,8,2,32) freqs:tensor(8,16,2)
transformers.functional:liger_mhc_coeffs x:bfloat(1,8,4,64) phi:bfloat(256,24) b:tensor(24) alpha_pre:tensor() \
alpha_post:tensor() alpha_res:tensor()
transformers.functional:liger_mhc_post_res x:bfloat(1,8,4,64) f_out:bfloat(1,8,64) h_post:tensor(1,8,4) \
h_res:tensor(1,8,4,4)
transformers.functional:liger_mhc_pre x:bfloat(1,8,4,64) h_pre:tensor(1,8,4)
ops:LigerMLPFunction.apply x:bfloat(2,8,64) gate:bfloat(128,64) up:bfloat(128,64) down:bfloat(64,128)
transformers.functional:liger_modulated_rms_norm X:tensor(2,8,64) W:tensor(64) scale:tensor(2,64) shift:tensor(2,64)
transformers.functional:liger_multi_token_attention scores:tensor(1,2,16,16) weight:tensor(2,2,3,3) bias:tensor(2) \
padding=1
transformers.functional:liger_multi_token_attention#sparse scores:tensor(1,2,16,16) weight:tensor(2,2,3,3) padding=1 \
sparse=True
transformers.functional:liger_poly_norm X:tensor(2,8,64) W:tensor(3) B:tensor()
transformers.functional:liger_qwen2vl_mrope q:tensor(1,2,8,32) k:tensor(1,2,8,32) cos:tensor(3,1,8,32) \
sin:tensor(3,1,8,32) mrope_section=[4,6,6]
transformers.functional:liger_relu_squared x:tensor(2,8,64)
transformers.functional:liger_rms_norm X:tensor(2,8,64) W:tensor(64) eps=1e-6
transformers.functional:liger_rms_norm#many_rows X:half(5000,128) W:half(128) eps=1e-6
transformers.functional:liger_rope q:tensor(1,2,8,32) k:tensor(1,2,8,32) cos:tensor(1,8,32) sin:tensor(1,8,32)
transformers.functional:liger_softmax x:tensor(8,64)
transformers.functional:liger_softmax#wide x:tensor(2,5000)
transformers.functional:liger_sparsemax input:tensor(8,64)
transformers.functional:liger_swiglu a:tensor(2,8,64) b:tensor(2,8,64)
ops:LigerFusedGateUpSiLUMulFunction.apply y:tensor(16,128)
transformers.functional:liger_tvd input:probability(8,64) target:probability(8,64)
ops:LigerEmbeddingFunction.apply embeddings:tensor(32,64) indices:classes(2,8,32)
"""
_FLA = """
ops:chunk_abc q:key(1,128,2,32) k:key(1,128,2,32) v:value(1,128,2,32) s:slots(1,128,2,16)
ops:chunk_comba q:unit_key k:unit_key v p:unit_key g beta
ops:fused_recurrent_comba q:unit_key k:unit_key v p:unit_key g beta
ops:chunk_cyfa q k:key v g delta:part beta:part readout:tensor(2,31,31) \
q_norm_weight:unit_norm k_norm_weight:unit_norm q_norm_eps=1e-6 k_norm_eps=1e-6 => ops.cyfa.naive:naive_recurrent_cyfa
ops:fused_recurrent_cyfa q k:key v g delta:part beta:part readout:tensor(2,31,31) \
q_norm_weight:unit_norm k_norm_weight:unit_norm q_norm_eps=1e-6 k_norm_eps=1e-6 => ops.cyfa.naive:naive_recurrent_cyfa
ops:chunk_delta_rule q k v beta initial_state output_final_state=True
ops:chunk_delta_rule#varlen q k v beta cu_seqlens use_qk_l2norm_in_kernel=True
ops:fused_recurrent_delta_rule q k v beta
ops:chunk_dplr_delta_rule q k v a:negative b:unit_key gk:key_gate
ops:fused_recurrent_dplr_delta_rule q k v a:negative b:unit_key gk:key_gate
ops:chunk_iplr_delta_rule q k v a:negative b:unit_key
ops:fused_recurrent_iplr_delta_rule q k v a:negative b:unit_key
ops:chunk_gated_delta_rule q k v g beta => ops.gated_delta_rule.naive:naive_recurrent_gated_delta_rule
ops:chunk_gated_delta_rule#varlen q k v g beta cu_seqlens use_qk_l2norm_in_kernel=True
ops:fused_recurrent_gated_delta_rule q k v g beta => ops.gated_delta_rule.naive:naive_recurrent_gated_delta_rule
ops.gated_delta_product:chunk_gated_delta_product q k:unit_key(1,160,2,32) v:value(1,160,2,32) g \
beta:beta(1,160,2) num_householder=2
ops:chunk_gla q k v g:key_gate initial_state output_final_state=True
ops:fused_recurrent_gla q k v gk => ops.gla.naive:naive_recurrent_gla
ops:chunk_gsa q k v s g:slot_gate
ops:fused_recurrent_gsa q k v s g:slot_gate => ops.gsa.naive:naive_recurrent_gsa
ops:fused_recurrent_hgrn x:half(1,80,64) g:half(1,80,64)
ops.hgrn:chunk_hgrn x:half(1,80,64) g:half(1,80,64)
ops:chunk_kda q k v g:float_gate beta => ops.kda.naive:naive_recurrent_kda
ops:chunk_kda#varlen q k v g:float_gate beta cu_seqlens use_qk_l2norm_in_kernel=True
ops:fused_recurrent_kda q k v g:float_gate beta => ops.kda.naive:naive_recurrent_kda
ops.gdn2:chunk_gdn2 q k v g:float_gate b:key w:key => ops.gdn2.naive:naive_recurrent_gdn2
ops.gdn2:fused_recurrent_gdn2 q k v g:float_gate b:key w:key => ops.gdn2.naive:naive_recurrent_gdn2
ops:chunk_lightning_attn q k v layer_idx=1 num_layers=4
ops:fused_recurrent_lightning_attn q k v layer_idx=1 num_layers=4
ops.lightnet:chunk_lightnet q k v
ops.lightnet:fused_recurrent_lightnet q k v
ops:chunk_linear_attn q k v normalize=False => ops.linear_attn.naive:naive_recurrent_linear_attn
ops:fused_chunk_linear_attn q k v normalize=False => ops.linear_attn.naive:naive_recurrent_linear_attn
ops:fused_recurrent_linear_attn q k v => ops.linear_attn.naive:naive_recurrent_linear_attn
ops:chunk_log_linear_attn q:tensor(1,80,2,64) k:tensor(1,80,2,64) v:tensor(1,80,2,64) g \
level_scales:positive(1,80,2,8)
ops:chunk_mesa_net q:unit_key k v g beta lamb:positive(2,32) max_CG_iteration=5
ops:chunk_momentum_delta_rule q k v log_alpha:head_gate log_mu:head_gate p:unit_key beta eta:part
ops:fused_recurrent_momentum_delta_rule q k v log_alpha:head_gate log_mu:head_gate p:unit_key beta eta:part
ops:chunk_precond_gated_delta_rule q k v g_atk:head_gate g beta_atk:beta beta
ops:fused_recurrent_precond_gated_delta_rule q k v g_atk:head_gate g beta_atk:beta beta
ops:chunk_precond_kda q k v g:float_gate g_atk:float_gate beta_atk:beta beta
ops:fused_recurrent_precond_kda q k v g:float_gate g_atk:float_gate beta_atk:beta beta
ops:chunk_retention q k v
ops:fused_chunk_retention q k v
ops:fused_recurrent_retention q k v
ops:parallel_retention q k v
ops:chunk_rwkv6 r k v w:key_gate u
ops:fused_recurrent_rwkv6 r k v w:key_gate u
ops:chunk_rwkv7 r w:key_gate k v a:negative b:unit_key
ops:fused_recurrent_rwkv7 r w:key_gate k v a:negative b:unit_key
ops:chunk_simple_gla q k v g => ops.simple_gla.naive:naive_recurrent_simple_gla
ops:fused_chunk_simple_gla q k v g => ops.simple_gla.naive:naive_recurrent_simple_gla
ops:fused_recurrent_simple_gla q k v g => ops.simple_gla.naive:naive_recurrent_simple_gla
ops:parallel_simple_gla q k v g
ops:fused_attnres query:tensor(64) residuals:tensor(3,8,64) rms_weight:tensor(64)
ops:fused_chunk_based q:half(1,80,2,16) k:half(1,80,2,16) v
ops:parallel_based q:half(1,80,2,16) k:half(1,80,2,16) v
ops.rebased:parallel_rebased q:half(1,80,2,16) k:half(1,80,2,16) v
ops:parallel_attn q k:key v => ops.attn.naive:naive_parallel_attn
ops:parallel_attn#gate q k:key v g
ops.attn.decoding:attn_decoding_one_step q:key(1,2,2,32) k:key v cu_seqlens:starts
ops:parallel_forgetting_attn q k:key v g => ops.forgetting_attn.naive:naive_forgetting_attn
ops:parallel_nsa q:half(1,80,16,32) k:half(1,80,1,32) v:half(1,80,1,32) g_cmp:positive(1,80,16) \
g_slc:positive(1,80,16) g_swa:positive(1,80,16) block_counts=2 block_size=32
ops:parallel_parallax q r k:key v => ops.parallax.naive:naive_parallax
ops:parallel_path_attn q k:key v w:float_unit_key beta:part g
ops:parallel_stickbreaking_attn q k:key v => ops.stickbreaking_attn.naive:naive_stickbreaking_attn
ops:parallel_wall_attn q k:key v g:float_gate
ops.deltaformer:deltaformer_attn q k v beta
ops.moba:parallel_moba q:key(128,2,32) k:key(128,2,32) v:value(128,2,32) cu_seqlens:ends \
max_seqlen=128 chunk_size=32 topk=2
ops.rwkv4:fused_recurrent_rwkv4 w:tensor(64) u:tensor(64) k:tensor(1,16,64) v:tensor(1,16,64) state:positive(1,3,1,64)
ops.ttt:chunk_ttt_linear q:key k:unit_key v:value w:half(2,32) b:half(2,32) eta:half(1,80,2,1)
ops.gated_oja_rule:chunk_gated_oja_rule q k v:unit_key gv:key_gate beta
ops.gated_oja_rule:fused_recurrent_gated_oja_rule q k v:unit_key gv:key_gate beta
ops.rwkv7.fused_addcmul:fused_addcmul_rwkv7 hidden_states:half(1,80,64) delta:half(1,80,64) xr:half(1,1,64) \
xw:half(1,1,64) xk:half(1,1,64) xv:half(1,1,64) xa:half(1,1,64) xg:half(1,1,64)
ops.rwkv7.fused_k_update:fused_k_rwkv7 k:half(1,80,64) a:half(1,80,64) ka:half(1,1,64)
ops.rwkv7.gate_output_correction:gate_output_correction o:half(1,80,64) r:key k:key r_k:half(2,32) v g:half(1,80,64)
ops.kda.gate:fused_kda_gate g:half(1,80,2,32) A_log:tensor(2) dt_bias:tensor(64)
ops.gated_delta_rule.gate:fused_gdn_gate g:half(1,80,2) A_log:tensor(2) dt_bias:tensor(2)
ops.utils:chunk_local_cumsum g chunk_size=64
ops.utils:chunk_global_cumsum s:float_gate
ops.utils:chunk_global_cumsum#scalar s:head_gate
ops.utils:mean_pooling x:key chunk_size=32
ops.utils:solve_tril A:positive(1,128,2,64)
ops.utils:softmax_fwd x:tensor(80,64)
ops.utils.matmul:addmm x:half(64,64) a:half(64,32) b:half(32,64)
ops.utils.logsumexp:logsumexp_fwd x:tensor(16,100)
ops.utils.pack:unpack_sequence x:tensor(80,64) cu_seqlens
ops.utils.pack:pack_sequence x:tensor(2,80,64) cu_seqlens:starts
ops.utils.sinkhorn.ops:sinkhorn logits:tensor(8,4,4)
modules.activations:swish x:tensor(8,64)
modules.activations:logsigmoid x:tensor(8,64)
modules.activations:sigmoid x:tensor(8,64)
modules.activations:elu_p1 x:tensor(8,64)
modules.activations:swiglu x:tensor(8,64) y:tensor(8,64)
modules.activations:sigmoidglu x:tensor(8,64) y:tensor(8,64)
modules.activations:powglu x:tensor(8,64) y:tensor(8,64)
modules.rotary.ops:rotary_embedding x:half(1,80,2,32) cos:half(80,16) sin:half(80,16) \
=> modules.rotary.ops:rotary_embedding_ref
modules.causal_conv1d:causal_conv1d x:half(1,80,64) weight:half(64,4) bias:half(64) activation='silu'
modules.token_shift:token_shift x:half(1,80,64)
modules.norm.l2norm:l2norm x:half(1,80,2,32)
modules.norm.layernorm:layer_norm x:half(80,64) weight:half(64) bias:half(64)
modules.norm.layernorm:rms_norm x:half(80,64) weight:half(64) bias=None
modules.norm.layernorm:group_norm x:half(80,64) weight:half(64) bias:half(64) num_groups=4
modules.norm.layernorm_gated:layernorm_fn x:half(80,64) weight:half(64) bias:half(64) z:half(80,64)
modules.norm.fused_norm_gate:rms_norm_gated x:half(80,64) g:half(80,64) weight:half(64) bias=None
modules.norm.fused_norm_gate:layer_norm_gated x:half(80,64) g:half(80,64) weight:half(64) bias:half(64)
modules.fused_bitlinear:layer_norm_linear_quant x:half(80,64) norm_weight:half(64) norm_bias:half(64) \
linear_weight:half(64,64) linear_bias:half(64)
modules.fused_cross_entropy.ops:cross_entropy_loss logits:tensor(8,100) target:classes(8,100)
modules.fused_kl_div.ops:fused_kl_div_loss x:half(16,64) target_x:frozen(16,64) weight:half(100,64) \
target_weight:frozen(100,64)
modules.fused_linear_cross_entropy.ops:fused_linear_cross_entropy_loss x:half(16,64) target:classes(16,100) \
weight:half(100,64)
modules.grpo:fused_grpo_loss logits:tensor(2,9,64) ref_logp:log_probability(2,8) input_ids:classes(2,8,64) \
advantages:positive(2)
"""
_PACKAGES = {"liger_kernel": _LIGER, "fla": _FLA}
# What a package calls differently in its reference.
_RENAMED = {"naive_recurrent_rwkv6": {"r": "q"}}


@dataclass(frozen=True)
class Use:
    """One call. `path`: module:name.name; `name` says also which of several uses of the function it is."""

    name: str
    path: str
    words: str
    reference: str = ""

    @property
    def file(self) -> str:
        """The name, for a file."""
        return re.sub(r"[^\w.]", "-", self.name)

    def function(self) -> Callable[..., Any]:
        """What is called. Raises ImportError, AttributeError."""
        return _imported(self.path)


def _imported(path: str) -> Callable[..., Any]:
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    function: Callable[..., Any] = found
    return function


def _uses() -> Mapping[str, Use]:
    lines = ((package, line) for package, table in _PACKAGES.items() for line in table.strip().splitlines())
    uses = (_use(package, line) for package, line in lines)
    return {use.name: use for use in uses}


def _use(package: str, line: str) -> Use:
    call, _, reference = line.partition(" => ")
    name, _, words = call.partition(" ")
    path = name.partition("#")[0]
    return Use(f"{package}.{name}", f"{package}.{path}", words, f"{package}.{reference.strip()}" if reference else "")


USES = _uses()


def run_use(use: Use) -> list[torch.Tensor]:
    """The results of a use, then the gradients of its arguments, for a fixed random gradient of its results."""
    arguments = draw(use.words)
    torch.manual_seed(_SEED)
    results = tensors(_called(use.function(), arguments))
    leaves = [tensor for tensor in tensors(arguments) if tensor.requires_grad]
    wanted = [tensor for tensor in results if tensor.requires_grad]
    gradients = [torch.randn(t.shape).to(t.dtype) for t in wanted]
    if wanted:
        with contextlib.suppress(NotImplementedError):  # some functions are for inference alone
            torch.autograd.backward(wanted, gradients)
    return [t.detach() for t in results] + [leaf.grad for leaf in leaves if leaf.grad is not None]


def _called(function: Any, arguments: Mapping[str, Any]) -> Any:
    # `apply` of torch.autograd.Function has no names; a leaf may not be written in place.
    given = {n: v.clone() if isinstance(v, torch.Tensor) and v.requires_grad else v for n, v in arguments.items()}
    return function(*given.values()) if getattr(function, "__name__", "") == "apply" else function(**given)


def run_reference(use: Use) -> list[torch.Tensor]:
    """The first result of the package's own reference, from the same arguments."""
    function = _imported(use.reference)
    known = inspect.signature(function).parameters
    found = draw(use.words)
    with torch.no_grad():
        return tensors(function(**{name: value for name, value in found.items() if name in known}))[:1]
