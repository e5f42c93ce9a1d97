/* Decodes a JPEG of ``width`` x ``height`` pixels straight to ``target_width`` x ``target_height``, none larger.

   ``pixels``: room for the result, rows of BGR, or grey where the file has one component. ``luma_reduction`` and
   ``colour_reduction`` (of colours of a quarter of the samples): 1, 2, 4 or 8, the mean of so many samples a side is
   decoded. ``what``: the scans that may be left out, and whether the file is grey. Returns an ``outcome``; what
   ``pixels`` holds counts for 0 only. Keeps nothing between calls: any thread may call it. */
#include "shrink.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

static int has_avx2;

/* Asked of the processor itself: zig's runtime is without what __builtin_cpu_supports needs. Once, when the library
   is loaded: in a virtual machine the question goes to the host. */
__attribute__((constructor)) static void look_at_processor(void) {
    const unsigned fma = 1u << 12, system_saves = 1u << 27, bmi = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
    const unsigned lzcnt = 1u << 5, sse_and_avx_saved = 6;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (~c & (fma | system_saves))) return;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    if (~a & sse_and_avx_saved) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (~b & (bmi | avx2 | bmi2))) return;
    has_avx2 = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & lzcnt);
}
#endif

__attribute__((visibility("default"))) int shrink_jpeg(SHRINK_ARGUMENTS) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (has_avx2) return shrink_avx2(SHRINK_NAMES);
#endif
    return shrink_any(SHRINK_NAMES);
}
