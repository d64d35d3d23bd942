"""The dispatch centre's and the customers' HTTP interface (docs/openapi.json).

``desk`` is what it may ask of the rest of the house, ``asked`` what others may ask of it,
``access`` who may.  FastAPI is imported by ``api`` and what belongs to it, and nowhere else.
"""
