"""The paper's figures, one file each, as pure functions: parameters in, a Figure out.

Arguments that mean the same in all of them: ``titles``, row or network -> its name in words;
``chance``, prec@1 of guessing, in per cent; ``overlay``, from 0, the frame alone, to 1, the map
alone. Every function also takes ``headline``, words above the whole figure, for instance the true
class, and ``generated``, whether to mark the clips as generated ones
(:func:`statkit.plots.style.drawing`).
"""
