"""Settings of all tests."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a test: no deadline, slow inputs are fine. The
# same examples every time, so that a red run can be repeated.
settings.register_profile(
    'pyg_darec',
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile('pyg_darec')
