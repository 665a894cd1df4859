/*
 * oneDNN's engine and stream, and the choice of the block. One engine per trainer.
 */
#include "train/backend.h"

#include <omp.h>

/* Primitives are rebuilt for every candidate; JIT code for a shape that was seen before comes from
 * this cache. */
static const int primitive_cache_capacity = 4096;

static const mn__simd *choose_simd(void)
{
#if defined(__x86_64__)
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core)
        return &mn__simd_avx512;
    if ((isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2)
        return &mn__simd_avx2;
#endif
    return &mn__simd_portable;
}

static const char *status_text(dnnl_status_t status)
{
    switch (status) {
    case dnnl_success:
        return "success";
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented for these shapes";
    case dnnl_iterator_ends:
        return "no implementation left";
    case dnnl_runtime_error:
        return "runtime error";
    case dnnl_not_required:
        return "not required";
    }
    return "unknown status";
}

mn_status mn__dnnl(dnnl_status_t status, const char *what, mn_error *err)
{
    if (status == dnnl_success)
        return MN_OK;
    mn_status translated = status == dnnl_out_of_memory ? MN_ERR_NOMEM : MN_ERR_BACKEND;
    return mn_error_set(err, translated, "%s: oneDNN: %s", what, status_text(status));
}

void mn__backend_use_threads(uint32_t threads)
{
    omp_set_num_threads((int)threads);
}

mn_status mn__backend_init(mn__backend *backend, uint32_t threads, mn_error *err)
{
    *backend = (mn__backend){0};
    mn__backend_use_threads(threads);
    (void)dnnl_set_primitive_cache_capacity(primitive_cache_capacity); /* only slower without */
    backend->simd = choose_simd();
    backend->blocked = backend->simd->lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    backend->blocked_filters = backend->simd->lanes == 16 ? dnnl_Goihw16g : dnnl_Goihw8g;
    mn_status status =
        mn__dnnl(dnnl_engine_create(&backend->engine, dnnl_cpu, 0), "compute engine", err);
    if (status == MN_OK)
        status = mn__dnnl(
            dnnl_stream_create(&backend->stream, backend->engine, dnnl_stream_default_flags),
            "compute stream",
            err);
    if (status != MN_OK)
        mn__backend_done(backend);
    return status;
}

void mn__backend_done(mn__backend *backend)
{
    if (backend->stream != NULL)
        (void)dnnl_stream_destroy(backend->stream);
    if (backend->engine != NULL)
        (void)dnnl_engine_destroy(backend->engine);
    *backend = (mn__backend){0};
}
