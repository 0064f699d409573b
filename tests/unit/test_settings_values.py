import pytest
from hypothesis import given, settings, strategies as st

from sentiment import apps
from sentiment.errors import SettingsError

FIELDS = [(section, name) for section in apps.sections() for name in section.model_fields]
# No NUL and no surrogates: no environment can hold them.
values = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
) | st.sampled_from(
    [
        "0",
        "-1",
        "1e999",
        "nan",
        "inf",
        "{}",
        "[]",
        "null",
        '{"a":1}',
        "true",
        "SASL_SSL",
        "\n",
        "\uff11",
    ]
)


@settings(max_examples=40)
@given(value=values)
def test_any_value_of_a_variable_is_a_setting_or_a_sentence(value: str) -> None:
    """Whatever stands in the environment: settings, or a `SettingsError`, and nothing else."""
    for section, name in FIELDS:
        variable = f"{section.model_config.get('env_prefix')}{name.upper()}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable, value)
            try:
                section()
            except SettingsError as error:
                assert error.message, variable  # noqa: PT017 - either outcome is right
