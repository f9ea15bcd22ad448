"""Pure values and functions that every room may use: ids, clock, pages, refusals. No I/O, no framework."""
