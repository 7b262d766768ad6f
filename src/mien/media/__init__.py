"""Bytes to arrays: pictures decoded, faces cut out, tensors made."""
