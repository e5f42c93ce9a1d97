/* Which of the decoders an image goes to: asked of the processor when the library is loaded. */
#include "interface.h"

#if defined(WITH_AVX2)
#include <cpuid.h>

static int has_avx2;

/* Whether it has all that the flags of decoder.c may use (CMakeLists.txt). Once, when the library is loaded: in a
   virtual machine the question goes to the host. */
__attribute__((constructor)) static void detect_avx2(void) {
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

int native_abi(void) { return NATIVE_ABI; }

int shrink_jpeg(const jpeg_request *request) {
#if defined(WITH_AVX2)
    if (has_avx2) return shrink_avx2(request);
#endif
    return shrink_any(request);
}
