"""What one sees inside a run, in small; that it is what the run did is a law over every cell (test_cells_laws.py)."""

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import cells


def test_the_loss_may_look_at_outputs_which_are_zero_where_masked():
    params = cells.IRNN.init(jax.random.key(0), 3, 4)
    mask = jnp.array([True, True, False, True])
    start = cells.ElmanState(jnp.ones(4))
    seen = cells.state_gradients(
        cells.IRNN, params, jnp.full((4, 3), np.nan).at[mask].set(0.0), lambda r: r[1].sum(), state=start, mask=mask
    )
    assert seen.hidden[:, 0].tolist() == [3.0, 2.0, 1.0, 1.0]


def test_masked_steps_show_the_state_that_stays_and_closed_gates():
    params = cells.LSTM.init(jax.random.key(0), 3, 4)
    mask = jnp.array([True, False, True])
    states, gates = cells.trace(cells.LSTM, params, jnp.ones((3, 3)), mask=mask)
    assert (states.hidden[0] == states.hidden[1]).all()
    assert not gates.forget[1].any()
    assert gates.forget[2].all()
