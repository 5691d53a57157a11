"""Ranges of numbers that cost their callers much more than others, and pay who is called."""

from __future__ import annotations

__all__ = ["PREMIUM_PREFIXES"]

PREMIUM_PREFIXES = (
    *("+979", "+870", "+881", "+882", "+883"),  # ITU, list of assigned country codes: premium, satellites, networks
    "+1900",  # North America: NANPA, 900 services
    "+449",  # United Kingdom: Ofcom, National Telephone Numbering Plan, 09
    "+49900",  # Germany: Bundesnetzagentur, 0900
    "+3389",  # France: Arcep, 089
    "+3989",  # Italy: AGCOM, 89
    *("+34803", "+34806", "+34807"),  # Spain: CNMC, 803, 806, 807
    *("+31900", "+31906", "+31909"),  # Netherlands: ACM, 0900, 0906, 0909
    "+3290",  # Belgium: BIPT, 090
    *("+41900", "+41901", "+41906"),  # Switzerland: OFCOM, 0900, 0901, 0906
    *("+43900", "+43901", "+43930", "+43931"),  # Austria: RTR, 0900, 0901, 0930, 0931
)
"""The beginnings of numbers, as the numbering plans of mid-2026 have them. It is no complete list: other countries have
such ranges, too, and fraud also uses expensive mobile and island numbers, which no prefix tells from others."""
