/*
 * The picture of a plan: time runs down, one row a step; the arena runs from left to right.
 */
#ifndef MN_CLI_MEMORY_SVG_H
#define MN_CLI_MEMORY_SVG_H

#include "cli/pipeline.h"

/* Writes an SVG file of a planned network; complete or not at all. */
mn_status mn__memory_svg(const mn__pipeline *network, const char *path, mn_error *err);

#endif
