/*
 * The border to oneDNN 2.6: engine, stream, block size, and translation of its statuses. Nothing
 * above train/ sees a dnnl type.
 */
#ifndef MN_TRAIN_BACKEND_H
#define MN_TRAIN_BACKEND_H

#include <dnnl.h>

#include "memnet/status.h"
#include "train/simd.h"

typedef struct mn__backend {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    const mn__simd *simd;
    dnnl_format_tag_t blocked;         /* nChw16c or nChw8c, by simd->lanes */
    dnnl_format_tag_t blocked_filters; /* Goihw16g or Goihw8g */
} mn__backend;

/* Picks the block by the instruction set in use (DNNL_MAX_CPU_ISA counts) and calls
 * mn__backend_use_threads(). */
mn_status mn__backend_init(mn__backend *backend, uint32_t threads, mn_error *err);
void mn__backend_done(mn__backend *backend);

/* Sets the number of threads of the compute loops that this thread starts from here on. OpenMP
 * keeps one number for each thread, whoever set it, so every way into the loops sets its own. */
void mn__backend_use_threads(uint32_t threads);

/* MN_OK for dnnl_success; else the translated status, with "`what`: <dnnl status>". */
mn_status mn__dnnl(dnnl_status_t status, const char *what, mn_error *err);

#endif
