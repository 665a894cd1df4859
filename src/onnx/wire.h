/*
 * From bytes to the unpacked protobuf message: the importer's outer wall. What passes here is
 * nested no deeper than a fixed limit and lies in memory that is counted.
 */
#ifndef MN_ONNX_WIRE_H
#define MN_ONNX_WIRE_H

#include <stddef.h>

#include "memnet/status.h"
#include "onnx.pb-c.h"
#include "onnx/memory.h"

/* The message lives in `memory`. MN_ERR_FORMAT says at which byte what does not fit. */
mn_status mn__onnx_unpack(mn__onnx_memory *memory,
                          const void *bytes,
                          size_t count,
                          Onnx__ModelProto **ret_model,
                          mn_error *err);

#endif
