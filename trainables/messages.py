"""What an error says, in a line."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
