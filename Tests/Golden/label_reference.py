"""What PyTorch's ctc_loss and the package pytorch-crf answer, in float64, for models in our own description."""

import numpy as np
import torch
import torchcrf
from torch import nn
from torch_reference import Place, TorchModel, Untransposed


def valid_steps(batch):
    """[B, T]: which steps are no padding."""
    if "lengths" in batch:
        return torch.arange(batch["x"].shape[1]) < torch.from_numpy(batch["lengths"])[:, None]
    if "mask" in batch:
        return torch.from_numpy(batch["mask"]).bool()
    return torch.ones(batch["x"].shape[:2], dtype=torch.bool)


class LabelModel(TorchModel):
    """PyTorch with a loss of whole rows: the mean over those that have steps, each with its weight.

    A row's steps that count are brought together before PyTorch sees them, so that masks may have gaps.
    """

    def __init__(self, description, initial, masked):
        layers = list(description["layers"])
        self.softmax = layers[-1].get("activation") == "softmax"
        self.crf_layer = layers.pop() if layers[-1]["type"] == "crf" else None
        super().__init__({**description, "layers": layers}, initial, masked)
        if self.crf_layer:
            self._add_crf(self.crf_layer, initial)

    def _add_crf(self, layer, initial):
        self.crf = torchcrf.CRF(layer["units"]).double()
        name = layer.get("name", "crf")
        self.places |= {
            f"{name}.start": Place(self.crf.start_transitions),
            f"{name}.transitions": Untransposed(self.crf.transitions),
            f"{name}.end": Place(self.crf.end_transitions),
        }
        with torch.no_grad():
            for kind in ("start", "transitions", "end"):
                self.places[f"{name}.{kind}"].write(initial[f"{name}.{kind}"])
        self.optimizer = self._optimizer()

    def predict(self, batch):
        with torch.no_grad():
            scores = self(batch)
            if self.crf_layer:
                return self.decided(scores, valid_steps(batch)).numpy()
            return (scores.softmax(-1) if self.softmax else scores).numpy()

    def decided(self, scores, valid):
        """1 for the tags of the best sequence, or the probability of each tag: what the logarithm of the sum over all
        sequences gains with its emission."""
        outputs = torch.zeros_like(scores)
        for i in range(len(valid)):
            row = scores[i][valid[i]].detach()
            if not len(row):
                continue
            if self.crf_layer.get("output") == "probabilities":
                row.requires_grad_()
                mask = torch.ones(len(row), 1, dtype=torch.bool)
                with torch.enable_grad():
                    whole = self.crf._compute_normalizer(row[:, None], mask).sum()
                outputs[i, valid[i]] = torch.autograd.grad(whole, row)[0]
            else:
                tags = torch.tensor(self.crf.decode(row[:, None])[0])
                outputs[i, valid[i]] = nn.functional.one_hot(tags, row.shape[-1]).double()
        return outputs

    def step(self, batch):
        """One step of training: the loss before it."""
        self.optimizer.zero_grad()
        valid, scores = valid_steps(batch), self(batch)
        rows = [(scores[i][valid[i]], i) for i in range(len(valid)) if valid[i].any()]
        losses = self.losses(rows, batch)
        weights = torch.from_numpy(batch.get("weights", np.ones(len(valid)))).double()
        loss = (losses * weights[[i for _, i in rows]]).mean()
        loss.backward()
        # Of transitions in rows of one step there is none.
        for parameter in (parameter for place in self.places.values() for parameter in place.parameters):
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        self.gradients = {name: place.read(lambda parameter: parameter.grad) for name, place in self.places.items()}
        if isinstance(self.optimizer, torch.optim.Adam):
            self._match_epsilon()
        self.optimizer.step()
        return loss.item()

    def losses(self, rows, batch):
        """One for each row, given as its scores [steps, classes] and its number."""
        if self.crf_layer:
            tags = [torch.from_numpy(batch["y"][i])[valid_steps(batch)[i]].long() for _, i in rows]
            ours = zip(rows, tags, strict=True)
            return torch.cat([-self.crf(one[:, None], y[:, None], reduction="none") for (one, _), y in ours])
        loss = self.training_fields["loss"]
        fields = {} if isinstance(loss, str) else loss
        blank = fields.get("blank", 0)
        labels = [labels_of(batch, i, blank) for _, i in rows]
        scores = nn.utils.rnn.pad_sequence([one for one, _ in rows])
        if fields.get("from_logits") is False and not self.softmax:
            logarithms = (scores / scores.sum(-1, keepdim=True)).log()
        else:
            logarithms = scores.log_softmax(-1)
        return nn.functional.ctc_loss(
            logarithms,
            torch.from_numpy(np.concatenate(labels)).long(),
            torch.tensor([len(one) for one, _ in rows]),
            torch.tensor([len(one) for one in labels]),
            blank,
            reduction="none",
            zero_infinity=fields.get("zero_infinity", False),
        )


def labels_of(batch, row, blank):
    """Those before the padding, which is the blank where there are no lengths."""
    y = batch["y"][row]
    return y[: batch["y_lengths"][row]] if "y_lengths" in batch else y[(y != blank) & (y != -1)]
