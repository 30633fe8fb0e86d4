import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latent3d.base.errors import UserError
from latent3d.data.images.images import Images
from latent3d.data.molecules import parquet as molecule_files
from latent3d.data.parquet import read_foreign_parquet, read_parquet, write_parquet
from latent3d.data.records import concatenate, from_list

SHAPE = (4, 5, 3)


@pytest.fixture()
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    angles = [0.1 + 0.2, -40 / 3, np.nextafter(1, 2)]  # of which no short decimal remains
    table = pd.DataFrame({"id": list("abc"), "split": ["train", "test", "train"], "angle": angles})
    records = [{"pixels": image} for image in pixels]
    records[1] = {"pixels": None}  # could not be made
    return from_list(Images, records, table, {"angle": "degree"})


def test_pixels_and_labels_come_back_exactly(images, tmp_path):
    write_parquet(tmp_path / "a.parquet", images)
    again = read_parquet(tmp_path / "a.parquet", Images)
    assert again.arrays["pixels"].dtype == np.uint8 and again.arrays["pixels"].shape == (3, *SHAPE)
    np.testing.assert_array_equal(again.arrays["pixels"], images.arrays["pixels"])
    assert again.known["pixels"].tolist() == [True, False, True] and again[1]["pixels"] is None
    assert again.table["angle"].to_numpy().tobytes() == images.table["angle"].to_numpy().tobytes()
    assert again.units == {"angle": "degree"}
    assert again.split("test").known["pixels"].tolist() == [False]


def test_pandas_sees_an_unmade_image_as_null(images, tmp_path):
    write_parquet(tmp_path / "a.parquet", images)
    column = pd.read_parquet(tmp_path / "a.parquet")["pixels"]
    assert column[1] is None
    np.testing.assert_array_equal(column[2].reshape(SHAPE), images.arrays["pixels"][2])


def test_no_image_has_the_shape_of_the_others(images, tmp_path):
    write_parquet(tmp_path / "none.parquet", images.take([]))
    none = read_parquet(tmp_path / "none.parquet", Images)
    assert none.arrays["pixels"].shape == (0, *SHAPE)
    assert len(concatenate([none, images])) == 3


def test_images_of_different_shapes_do_not_mix(images):
    other = from_list(Images, [{"pixels": np.zeros((5, 4, 3))}])
    with pytest.raises(ValueError, match="dimension"):
        concatenate([images, other])
    with pytest.raises(ValueError, match="tell its shape"):
        from_list(Images, [{"pixels": None}])
    with pytest.raises(ValueError, match=r"'pixels' has the shape \(5, 4\)"):
        from_list(Images, [{"pixels": np.zeros((5, 4))}])


def test_a_file_of_another_kind_is_refused(images, molecules_file, tmp_path):
    write_parquet(tmp_path / "images.parquet", images)
    with pytest.raises(UserError, match=r"images\.parquet is a file of images; give one of molecules"):
        molecule_files.read_parquet(tmp_path / "images.parquet")
    with pytest.raises(UserError, match=r"no column 'pixels'; an image file needs pixels"):
        read_parquet(molecules_file, Images)


@pytest.fixture()
def molecules_file(dataset, tmp_path):
    molecule_files.write_parquet(tmp_path / "molecules.parquet", dataset)
    return tmp_path / "molecules.parquet"


def test_pixels_of_others_need_a_shape_and_all_pixels(images, tmp_path):
    pq.write_table(pa.table({"pixels": [[1, 2, 3]]}), tmp_path / "shapeless.parquet")
    with pytest.raises(UserError, match="does not say the shape of 'pixels'"):
        read_parquet(tmp_path / "shapeless.parquet", Images)
    write_parquet(tmp_path / "a.parquet", images)
    table = pq.read_table(tmp_path / "a.parquet")
    rows = table["pixels"].to_pylist()
    lists = pa.array([rows[0], rows[1], rows[2][:-1]], pa.list_(pa.uint8()))
    pq.write_table(table.set_column(0, "pixels", lists), tmp_path / "cut.parquet")
    with pytest.raises(UserError, match="image 2 has 59 entries in column 'pixels' where 60 are needed"):
        read_parquet(tmp_path / "cut.parquet", Images)
    kept = read_foreign_parquet(tmp_path / "cut.parquet", Images)
    assert kept.table["status"].tolist() == ["ok", "ok", "decode_failed"]
    assert kept.known["pixels"].tolist() == [True, False, False]
    np.testing.assert_array_equal(kept.arrays["pixels"][0], images.arrays["pixels"][0])
