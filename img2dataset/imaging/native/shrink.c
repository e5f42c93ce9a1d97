/* Decodes a JPEG of ``width`` x ``height`` pixels straight to ``target_width`` x ``target_height``, none larger.

   ``pixels``: room for the result, rows of BGR, or grey where the file has one component. ``luma_reduction`` and
   ``colour_reduction`` (of colours of half the resolution): 1, 2, 4 or 8, the mean of so many samples a side is
   decoded. ``what``: the scans that may be left out. Returns an ``outcome``; what ``pixels`` holds counts for 0
   only. Keeps nothing between calls: any thread may call it. */
#include "shrink.h"

__attribute__((visibility("default"))) int shrink_jpeg(SHRINK_ARGUMENTS) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma"))
        return shrink_avx2(SHRINK_NAMES);
#endif
    return shrink_any(SHRINK_NAMES);
}
