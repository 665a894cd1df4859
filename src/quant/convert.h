/*
 * Conversion with what calibration knows beside the grids.
 */
#ifndef MN_QUANT_CONVERT_H
#define MN_QUANT_CONVERT_H

#include "quant/calibrate.h"

/* mn_quant_convert(); with `calibration` not NULL the mean errors of rounded weights are taken out
 * of the biases. */
mn_status mn__convert(const mn_graph *deployed,
                      const mn_tensors *folded,
                      const mn_quant_value *values,
                      const mn__calibration *calibration,
                      mn_quant **ret_quant,
                      mn_error *err);

/* Tensors are those of the graph, in its order, float32: MN_ERR_MISMATCH names the first that is
 * not. */
mn_status mn__check_tensors(const mn_graph *graph, const mn_tensors *tensors, mn_error *err);

#endif
