#ifndef CIPSECMB_SHIM_H
#define CIPSECMB_SHIM_H

#include <intel-ipsec-mb.h>

// IMB_FEATURE_* are 64-bit expressions: the wide AES and carry-less multiplication that AES-GCM is made of.
static const uint64_t CIPSecMB_wideAES =
    IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX | IMB_FEATURE_AESNI;

#endif
