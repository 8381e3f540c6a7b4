"""The picture of a climb that pages show."""

import xml.etree.ElementTree as ElementTree

import pytest

from studies.picture import main
from toprope.errors import UsageError

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_the_picture_is_one_drawing_with_both_figures(finished, tmp_path):
    """It is well-formed, holds its style sheet, and shows the climb and the sealed test beside baselines."""
    base, printed = finished
    main(base / "run", tmp_path / "climb.svg", best=1)
    root = ElementTree.parse(tmp_path / "climb.svg").getroot()
    said = " ".join(root.itertext())
    assert "best dev" in said
    assert f"sealed test: the champion and 1 of {len(printed['baselines'])} baselines" in said
    assert "prefers-color-scheme: dark" in said
    with pytest.raises(UsageError, match="'nobody' is unknown"):
        main(base / "run", tmp_path / "climb.svg", also=("nobody",))
    with pytest.raises(UsageError, match="one point per method"):  # nothing was transferred
        main(base / "run", tmp_path / "climb.svg", transfer=True)
