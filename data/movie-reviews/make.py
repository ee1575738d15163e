"""Makes train.tsv, validation.tsv and test.tsv from the source distribution of vaderSentiment 2.5.

    pip download --no-deps --no-binary :all: vaderSentiment==2.5
    python make.py vaderSentiment-2.5.tar.gz

A line is `rating<TAB>text`, rating being the mean of at least 20 people from -4 to 4. Snippets rated 0 are left out.
Sorted by the sha256 of their text, the first 1,057 snippets are the test set, the next 1,000 the validation set and
the rest the training set: a split (and an order) that depends on nothing but the texts.
"""

import hashlib
import io
import pathlib
import sys
import tarfile

SOURCE_SHA256 = "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84"
INNER = "vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz"
SNIPPETS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
TEST, VALIDATION = 1057, 1000


def member(archive: bytes, name: str) -> bytes:
    """One file of a .tar.gz archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def main(path: str) -> None:
    source = pathlib.Path(path).read_bytes()
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        sys.exit(f"{path}: not the file this script was written for (sha256 differs)")
    text = member(member(source, INNER), SNIPPETS).decode("utf-8")
    rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    rated = [(float(rating), snippet) for _, rating, snippet in rows if float(rating) != 0]
    rated.sort(key=lambda row: hashlib.sha256(row[1].encode()).digest())
    parts = {
        "test": rated[:TEST],
        "validation": rated[TEST : TEST + VALIDATION],
        "train": rated[TEST + VALIDATION :],
    }
    for name, part in parts.items():
        file = pathlib.Path(__file__).with_name(name + ".tsv")
        file.write_text("".join(f"{rating:.4g}\t{snippet}\n" for rating, snippet in part), encoding="utf-8")
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}  {len(part)} snippets")


if __name__ == "__main__":
    main(*sys.argv[1:])
