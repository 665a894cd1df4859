/*
 * How long a network takes to train, from its graph alone. Multiply-adds do not tell: maps of four
 * channels fill a vector of sixteen, and what a narrow or depthwise layer costs is to pass through
 * memory.
 */
#ifndef MN_SEARCH_EFFORT_H
#define MN_SEARCH_EFFORT_H

#include "memnet/graph.h"

/* Of a deployed graph: about the nanoseconds a training step spends on one image, on one thread of
 * the processor that it was fitted to (docs/search.md). Made to be compared, not to be believed. */
double mn__train_effort(const mn_graph *deployed);

#endif
