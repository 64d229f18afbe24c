"""Writes an encoder as ONNX: onnx_export.py MODEL-FOLDER FILE OPSET."""

import sys

import torch
from torch.onnx._internal import onnx_proto_utils
from transformers import AutoModel

model, file, opset = sys.argv[1:]
# It looks for functions written in onnxscript, of which there are none, by a library that nothing else here needs.
onnx_proto_utils._add_onnxscript_fn = lambda content, functions: content


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = AutoModel.from_pretrained(model, attn_implementation="eager").eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


ids = torch.randint(5, 2000, (2, 8))
inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
axes = {0: "texts", 1: "tokens"}
with torch.no_grad():
    torch.onnx.export(
        Network(), tuple(inputs.values()), file, input_names=list(inputs), output_names=["hidden"],
        dynamic_axes=dict.fromkeys([*inputs, "hidden"], axes), opset_version=int(opset), dynamo=False,
    )  # fmt: skip
