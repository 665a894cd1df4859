/*
 * Where a training step spends its time, kind of layer by kind of layer, beside what the machine
 * can do: a roofline in a table.
 */
#ifndef MN_BENCH_TRAIN_PROFILE_H
#define MN_BENCH_TRAIN_PROFILE_H

#include "train_subject.h"

/* Runs `steps` steps of a warm subject on one thread and prints the table. */
mn_status mn_bench_profile(mn_bench_subject *subject, uint32_t steps, bool bf16, mn_error *err);

#endif
