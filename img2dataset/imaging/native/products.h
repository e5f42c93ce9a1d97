/* Sums of products of 16 bits, of which the upper half is kept, sixteen at a time. */
#ifndef SHRINK_PRODUCTS_H
#define SHRINK_PRODUCTS_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef uint16_t words16 __attribute__((vector_size(32)));

static inline words16 sixteen(const uint16_t *at) {
    words16 words;
    memcpy(&words, at, sizeof words);
    return words;
}

static inline words16 upper_products(words16 samples, uint16_t weight) {
#if defined(__AVX2__)
    return (words16)_mm256_mulhi_epu16((__m256i)samples, _mm256_set1_epi16((short)weight));
#else
    words16 products;
    for (int i = 0; i < 16; i++) products[i] = (uint16_t)((uint32_t)samples[i] * weight >> 16);
    return products;
#endif
}

#endif
