"""Loads a file of one tensor for each element type and prints each: its type, shape and bytes.

element_types.py PATH
"""

import json
import sys

import torch

tensors = torch.load(sys.argv[1], weights_only=True)
print(
    json.dumps(
        {
            name: [str(tensor.dtype), list(tensor.shape), tensor.contiguous().view(torch.uint8).flatten().tolist()]
            for name, tensor in tensors.items()
        }
    )
)
