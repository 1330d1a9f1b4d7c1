# PLACEHOLDER by the lead until its owner writes it: overwrite this file.
def is_cheap(data: bytes) -> bool: return len(data) < 65536
