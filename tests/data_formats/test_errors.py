import pickle
from pathlib import Path

from app.data_formats.errors import DataFileError


def test_the_message_names_the_file_the_place_and_what_would_be_right() -> None:
    error = DataFileError(Path("data/train-images.gz"), "byte 4", found="10 images", expected="60000 images")

    assert str(error) == "data/train-images.gz: byte 4: expected 60000 images, found 10 images"


def test_a_file_may_be_wrong_as_a_whole() -> None:
    assert str(DataFileError(Path("a.csv"), "", found="nothing", expected="a table")) == (
        "a.csv: expected a table, found nothing"
    )


def test_workers_can_send_it_home() -> None:
    error = DataFileError(Path("a.csv"), "row 3", found="nothing", expected="a number")

    again = pickle.loads(pickle.dumps(error))

    assert str(again) == str(error)
    assert (again.file, again.position, again.found, again.expected) == (Path("a.csv"), "row 3", "nothing", "a number")
