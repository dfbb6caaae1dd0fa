// Swift cannot import function-like macros; each wrapper below stands for the macro of the same name.
#ifndef COPENSSL_SHIM_H
#define COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/params.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// SSL_CTX_set_min_proto_version
static inline int COpenSSL_SSL_CTX_set_min_proto_version(SSL_CTX *ctx, int version) {
    return SSL_CTX_set_min_proto_version(ctx, version);
}

// SSL_CTX_set_mode
static inline void COpenSSL_SSL_CTX_set_mode(SSL_CTX *ctx, long mode) { SSL_CTX_set_mode(ctx, mode); }

// SSL_set_mode and SSL_clear_mode
static inline void COpenSSL_SSL_set_mode(SSL *ssl, long mode) { SSL_set_mode(ssl, mode); }
static inline void COpenSSL_SSL_clear_mode(SSL *ssl, long mode) { SSL_clear_mode(ssl, mode); }

// SSL_CTX_set_options takes the SSL_OP_* macros, which are 64-bit expressions
static inline void COpenSSL_SSL_CTX_set_no_renegotiation_no_compression(SSL_CTX *ctx) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
}

// SSL_CTX_set_session_cache_mode
static inline void COpenSSL_SSL_CTX_set_session_cache_off(SSL_CTX *ctx) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

// SSL_set_tlsext_host_name
static inline int COpenSSL_SSL_set_tlsext_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

// BIO_set_retry_read, BIO_clear_retry_flags
static inline void COpenSSL_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void COpenSSL_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }

// ERR_GET_LIB and ERR_GET_REASON
static inline int COpenSSL_ERR_GET_LIB(unsigned long code) { return ERR_GET_LIB(code); }
static inline int COpenSSL_ERR_GET_REASON(unsigned long code) { return ERR_GET_REASON(code); }

// EVP_EC_gen is a macro over the variadic EVP_PKEY_Q_keygen
static inline EVP_PKEY *COpenSSL_EVP_EC_gen_p256(void) { return EVP_EC_gen("P-256"); }
// and so is EVP_RSA_gen
static inline EVP_PKEY *COpenSSL_EVP_RSA_gen(size_t bits) { return EVP_RSA_gen(bits); }

// sk_GENERAL_NAME_* are macros: the index-th of a certificate's subject alternative names, if it is of
// this type (GEN_URI, GEN_DNS or GEN_IPADD).
// Returns the length of the name and points `out` at its octets, which live as long as `names`.
static inline int COpenSSL_GENERAL_NAMES_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}
static inline int COpenSSL_GENERAL_NAMES_name(const GENERAL_NAMES *names, int index, int type, const unsigned char **out) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name == NULL || name->type != type) return -1;
    const ASN1_STRING *text = type == GEN_IPADD ? name->d.iPAddress : name->d.ia5;
    *out = ASN1_STRING_get0_data(text);
    return ASN1_STRING_length(text);
}

// SSL_get0_certificate_types
static inline long COpenSSL_SSL_get0_certificate_types(SSL *ssl, const unsigned char **types) {
    return SSL_get0_certificate_types(ssl, types);
}

// SSL_get_signature_nid
static inline int COpenSSL_SSL_get_signature_nid(SSL *ssl, int *nid) {
    return (int)SSL_get_signature_nid(ssl, nid);
}

// OPENSSL_free
static inline void COpenSSL_OPENSSL_free(void *memory) { OPENSSL_free(memory); }

// sk_X509_* are macros: the chain as the peer sent it, during verification and after it.
static inline int COpenSSL_X509_chain_count(const STACK_OF(X509) *chain) { return sk_X509_num(chain); }
static inline X509 *COpenSSL_X509_chain_get(const STACK_OF(X509) *chain, int index) {
    return sk_X509_value(chain, index);
}

// Verifies a chain with one of its own certificates as the only anchor.
static inline int COpenSSL_X509_verify_anchored(X509_STORE_CTX *context, X509 *anchor) {
    STACK_OF(X509) *anchors = sk_X509_new_null();
    if (anchors == NULL) return 0;
    sk_X509_push(anchors, anchor);
    X509_STORE_CTX_set0_trusted_stack(context, anchors);
    int result = X509_verify_cert(context);
    sk_X509_free(anchors);
    return result;
}

// XN_FLAG_ONELINE is an expression of macros
static inline void COpenSSL_X509_NAME_print_oneline(BIO *bio, const X509_NAME *name) {
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
}

// XN_FLAG_RFC2253 is an expression of macros, too
static inline void COpenSSL_X509_NAME_print_rfc2253(BIO *bio, const X509_NAME *name) {
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
}

// sk_X509_EXTENSION_* are macros: adds extensions to a request, and frees them.
static inline int COpenSSL_X509_REQ_add_extension(X509_REQ *request, X509_EXTENSION *extension) {
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    if (extensions == NULL) return 0;
    sk_X509_EXTENSION_push(extensions, extension);
    int result = X509_REQ_add_extensions(request, extensions);
    sk_X509_EXTENSION_free(extensions);
    return result;
}

// X509V3_set_ctx_nodb is a macro
static inline void COpenSSL_X509V3_set_ctx(X509V3_CTX *ctx, X509 *issuer, X509 *subject) {
    X509V3_set_ctx(ctx, issuer, subject, NULL, NULL, 0);
    X509V3_set_ctx_nodb(ctx);
}

static inline void COpenSSL_X509_chain_free(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }

// sk_SSL_CIPHER_* are macros
static inline int COpenSSL_SSL_CIPHER_count(const STACK_OF(SSL_CIPHER) *list) { return sk_SSL_CIPHER_num(list); }
static inline const SSL_CIPHER *COpenSSL_SSL_CIPHER_get(const STACK_OF(SSL_CIPHER) *list, int index) {
    return sk_SSL_CIPHER_value(list, index);
}

// BIO_get_mem_data
static inline long COpenSSL_BIO_get_mem_data(BIO *bio, char **out) { return BIO_get_mem_data(bio, out); }

#endif
