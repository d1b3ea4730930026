"""What earlier runs learnt: verified edits with what they did to which limiter, found again by likeness of kernels.

A run that uses the memory is offered a fixed set of records when it begins, and keeps the set in its own file. The
memory writes down which question (task, settings, seed) was offered what, so that the same question is answered from
the same records again, however much was learnt meanwhile: one seed gives one winner. Another seed asks anew. Records
are added when a run ends.
"""
