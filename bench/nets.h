/*
 * The networks that training speed is measured on: A, B, S and D are augment-trim networks of five
 * blocks with three cells each, P is a plain chain of five convolutions. They follow the usual
 * comparison scripts layer for layer (equal parameter counts), which differ from the search space
 * in one op: conv_1x7_7x1 has no 1x1 in front and no batch norm between.
 */
#ifndef MN_BENCH_NETS_H
#define MN_BENCH_NETS_H

#include "memnet/graph.h"

/* name: "A", "B", "S", "D" or "P"; 32x32x3 images, 10 classes. MN_ERR_ARG for another name. */
mn_status mn_bench_net(const char *name, uint32_t width, mn_graph **ret_graph, mn_error *err);

#endif
