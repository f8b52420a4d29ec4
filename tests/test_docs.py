from docs.write_options import FILE, document


def test_the_list_of_options_is_what_the_schemas_say() -> None:
    assert FILE.read_text() == document(), "type: make docs"
