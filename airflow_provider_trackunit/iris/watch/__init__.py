"""One wait: the condition it ends with, the failures it survives, the watermark of an endless one."""
