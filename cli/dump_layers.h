/*
 * What each kernel of a quantised network makes of one image, as files.
 */
#ifndef MN_CLI_DUMP_LAYERS_H
#define MN_CLI_DUMP_LAYERS_H

#include "cli/pipeline.h"
#include "memnet/quantize.h"

/*
 * Runs the task's first image. Writes, into a folder that is made or empty, DIR/NNN-<node>.npy
 * (H,W,C) int8 in the order of the calls, 000 the input, and DIR/layers.json: file, node, op, scale
 * and zero_point of each.
 */
mn_status mn__dump_layers(const mn__pipeline *network,
                          const mn_int8_network *int8,
                          const mn_int8_task *task,
                          const char *folder,
                          mn_error *err);

#endif
