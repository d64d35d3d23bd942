"""Telephone numbers and addresses as everybody but the sender sees them."""

HEAD, TAIL = 3, 4


def masked(phone: str) -> str:
    """``100****8000`` of a number: its first three and last four digits, at most half of them."""
    digits = "".join(c for c in phone if c in "0123456789")
    if len(digits) < HEAD + TAIL + 3:
        return "*" * len(digits)
    local = digits[2:] if len(digits) > 11 and digits.startswith("86") else digits
    return f"{local[:HEAD]}****{local[-TAIL:]}"


def masked_address(address: str) -> str:
    """``a***@example.org`` of a mail address, ``dingtalk://***`` of any other."""
    name, at, host = address.rpartition("@")
    if at and "://" not in address:
        return f"{name[:1]}***@{host}"
    scheme, _, rest = address.partition("://")
    return f"{scheme}://***" if rest else masked(address)
