"""One output folder, and the right of one try to write into it.

``folder`` is what a try does with it, in the order below; ``resuming`` is about what earlier tries left, ``writer`` about
others that are alive, ``publishing`` about the end. ``checkpoint`` is the file between tries, ``names`` tell our files
from others, ``store`` is where they lie. What is fetched, and when, is not known here.

What is promised: a manifest is there or it is not, and where it is, all that it names is there, whole, and holds every
record once. A result is swapped, never edited.

What a try does, in this order, and what is left when it ends in between:

1. **Claim**: write ``_checkpoint.json`` with its own name as the writer. The former manifest and its parts stay as they
   are. Ends before: nothing changed. Ends after: the next try of the run goes on from that checkpoint.
2. **Keep**, at least every ``checkpoint_interval_s``: find itself in the checkpoint, write a part, then the checkpoint
   that counts it. Every part has a name of its own, with the try in it, and is never written again. Ends between the
   two: the part is counted nowhere, and its pages are asked for again. A write that raised may have landed all the
   same: a part then is counted nowhere, a checkpoint is as good as the one before it.
3. **Publish**: find itself in the checkpoint, write ``_publishing-<try>.json``, which is the manifest to come, find the
   former manifest as it was at the beginning, find all parts, and replace the manifest in one write. If that write
   raises, the manifest is read back: it may have landed. Ends before it lands: the former result is there, and the next
   try publishes.
4. **Clean up**: withdraw the announcement, list the folder, read the announcements of others in it, find itself in the
   checkpoint and its own manifest in place, and delete what is ours in that list, and neither in the manifest nor
   announced; the checkpoint last. Ends in between: the next result cleans up.

Two tries can be alive at once, one that was given up for lost returns from a slow upload, and more than two. The second
claims the folder by its checkpoint, so the first finds another writer there at its next step, and stops. No store that
we can count on has a test-and-set, so a try may be held up between such a look and the write behind it. Even then
nothing breaks:

* A try whose *keep* is held up writes its checkpoint over that of the other, which then finds another writer and stops.
  One of them goes on.
* A try A whose *publish* is held up still names only files that are there. It announced them before it looked at the
  manifest; a try B that deletes files wrote its manifest before it looks for announcements. Whichever way their steps
  interleave, A finds the manifest of B and stops, or B finds the announcement of A and spares what it names. An
  announcement has a name of its own, so none is overwritten unseen; and A withdraws it only when its manifest is there,
  which B then finds in the place of its own, and deletes nothing.
* A checkpoint holds only as long as the manifest that its try began with. Whoever deletes a part has replaced the
  manifest before, so nobody goes on from a checkpoint, however late it landed, whose parts are about to be deleted. The
  one exception counts nothing but parts of the manifest that is in place: its try was killed when it had published.
* B looks at the checkpoint after it has listed the folder, so that a try C that began with the manifest of B has no
  file in that list, however long B is held up with it. If B then deletes the checkpoint of C, C finds none, and the
  manifest as it was at its own beginning: it goes on.

An announcement is left behind when a try is killed, or its write raises, between it and the manifest. What it names
stays for a day, and goes with the next result after that. A try that finds itself held up for half a day stops before
its manifest; what is not provided for is that the very write of the manifest is under way for another half.

Files of others are never touched. Ours are told by their names: the try in them has sixteen hexadecimal digits.
"""
