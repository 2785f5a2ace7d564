"""Read by schemathesis: hypothesis-jsonschema asks `many.more()`, which some versions of Hypothesis have as an iterator."""

from hypothesis.internal.conjecture.utils import many

if not hasattr(many, "more"):

    def more(self):
        if not hasattr(self, "_moorline_steps"):
            if getattr(self, "_depth", 0) is None:
                self.__enter__()
            self._moorline_steps = iter(self)
        return next(self._moorline_steps, StopIteration) is not StopIteration

    many.more = more
