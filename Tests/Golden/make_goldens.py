"""Writes data/*.npz: what Keras and PyTorch, in float64, answer for small models. See README.md; run it by hand:

    pip install -r requirements-goldens.txt && python make_goldens.py

Inputs and initial weights are drawn here (float32 values, so that both sides start from the same numbers); every
expected value is the reference program's.
"""

import golden_around
import golden_attention
import golden_carried
import golden_cells
import golden_graphs
import golden_inside
import golden_labels
import golden_layers
import golden_losses
import golden_many
import golden_newer_cells
import golden_normalized
import golden_optimizers
import golden_recurrent
import golden_training
from golden_group import DATA

MODULES = (
    golden_around,
    golden_attention,
    golden_carried,
    golden_cells,
    golden_graphs,
    golden_inside,
    golden_labels,
    golden_layers,
    golden_losses,
    golden_many,
    golden_newer_cells,
    golden_normalized,
    golden_optimizers,
    golden_recurrent,
    golden_training,
)

if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for module in MODULES:
        for name, cases in vars(module).items():
            if name.endswith("_cases") and cases.__code__.co_argcount == 0:
                cases()
    print(sum(path.stat().st_size for path in DATA.glob("*.npz")), "bytes in all")
