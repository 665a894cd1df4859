/*
 * What a model declares before its first node: opset, inputs, constants, shapes of values.
 */
#ifndef MN_ONNX_MODEL_H
#define MN_ONNX_MODEL_H

#include "onnx/import.h"

/* Fills the import from the model: opset, batch, values; adds the graph's inputs. */
mn_status mn__onnx_declare(mn__onnx_import *import, const Onnx__ModelProto *model, mn_error *err);

/* The type that the file gives a value; unknown when a dimension is. A leading dimension that is a
 * name is the batch. */
void mn__onnx_declared_type(const mn__onnx_value *value, uint32_t batch, mn__onnx_type *ret_type);

#endif
