import numpy as np
import pytest
from matplotlib.figure import Figure

from semamb_mm.pictures.error_curves import draw_error_curves


def test_curves_are_steps_of_each_face(tmp_path):
    axes = []

    class Catch(Figure):
        def savefig(self, *args, **kwargs):
            axes.extend(self.axes)
            super().savefig(*args, **kwargs)

    errors = np.array([0.06, 0.02, 0.5, 0.02])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure", Catch)
        curves = dict(inter_pupil=dict(ours=errors))
        draw_error_curves(tmp_path / "ced.png", curves, 0.08)
    (line,) = axes[0].lines
    x, y = line.get_data()
    np.testing.assert_allclose(x, [0, 2, 2, 6, 8])
    np.testing.assert_allclose(y, [0, 25, 50, 75, 75])
    assert line.get_drawstyle() == "steps-post"
