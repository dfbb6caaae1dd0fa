internal import AccessPolicy
internal import CloudConnector
internal import ConfigurationReading
internal import Cryptography
internal import HostSystem
internal import NIOCore
internal import PrincipalPropagation
internal import TextFormats
internal import YAMLDocument

/// Reads `principal-propagation` and `system-certificate`.
struct PropagationReader {
    let findings: Findings

    /// - Parameter needsAuthority: some users may arrive with certificates.
    func read(_ node: YAMLNode, needsAuthority: Bool) -> PropagationConfiguration {
        var section = Section(node, "principal-propagation", findings)
        var configuration = PropagationConfiguration()
        if let ca = section.value("ca") {
            (configuration.authorityCertificate, configuration.authorityKey) = pair(ca, "principal-propagation.ca")
            checkAuthority(ca, configuration)
        } else if needsAuthority {
            findings.warning(
                section.node,
                "principal-propagation.ca",
                "is missing: without the CA that signs users' certificates no user arrives anywhere"
            )
        }
        for (index, item) in section.list("trust").enumerated() {
            if let issuer = issuer(item, "principal-propagation.trust[\(index)]") {
                configuration.issuers.append(issuer)
            }
        }
        if !configuration.issuers.contains(where: \.isActive) {
            let cause = configuration.issuers.isEmpty ? "is empty" : "has no issuer that is active"
            findings.warning(section.place("trust"), "principal-propagation.trust", "\(cause): no user's token counts")
        }
        for (index, item) in section.list("subject-patterns").enumerated() {
            if let pattern = pattern(item, "principal-propagation.subject-patterns[\(index)]") {
                configuration.patterns.append(pattern)
            }
        }
        // As SAP's product begins with.
        if !section.has("subject-patterns"), let usual = try? SubjectPattern(condition: nil, subject: "CN=${name}") {
            configuration.patterns = [usual]
        }
        checkOrder(configuration.patterns, section)
        if let path = section.string("trusted-ca").map({ Credential.path($0) }) {
            ConfigurationFile.checkReadable(path, section.place("trusted-ca"), section.path("trusted-ca"), findings)
            configuration.trustedCA = path
        }
        let tolerance = section.duration(
            "expiration-tolerance",
            .hours(1),
            atLeast: .seconds(0),
            atMost: .hours(336)
        )
        configuration.tolerance = Int(tolerance.nanoseconds / 1_000_000_000)
        let validity = section.duration(
            "certificate-validity",
            .minutes(60),
            atLeast: .minutes(1),
            atMost: .hours(720)
        )
        configuration.validity = Int(validity.nanoseconds / 1_000_000_000)
        section.finish()
        configuration.digest = FileDigest.of(configuration.files)
        return configuration
    }

    /// Whether certificate and key belong together, and may sign.
    private func checkAuthority(_ node: YAMLNode, _ configuration: PropagationConfiguration) {
        let files = [configuration.authorityCertificate, configuration.authorityKey]
        let texts = files.compactMap { try? PlainFile.read($0, maxBytes: PrivateFile.maxBytes) }
            .map { String(decoding: $0, as: UTF8.self) }
        guard texts.count == 2 else { return }
        do throws(TLSError) {
            let issuer = try CertificateIssuer(.init(certificate: texts[0], privateKey: texts[1]))
            guard !issuer.maySign else { return }
            findings.error(
                node,
                "principal-propagation.ca",
                "\(files[0]) is no CA: it needs CA:TRUE and the key usage keyCertSign, or no system believes what it signs"
            )
        } catch {
            findings.error(node, "principal-propagation.ca", "\(error)")
        }
    }

    /// Certificate and key of something.
    func pair(_ node: YAMLNode, _ key: String) -> (certificate: String, privateKey: String) {
        var section = Section(node, key, findings)
        var paths = ["", ""]
        for (index, name) in ["certificate", "private-key"].enumerated() {
            guard let path = section.required(name, "a PEM file").map({ Credential.path($0) }) else { continue }
            ConfigurationFile.checkReadable(path, section.place(name), section.path(name), findings)
            paths[index] = path
        }
        section.finish()
        return (paths[0], paths[1])
    }

    private func issuer(_ node: YAMLNode, _ key: String) -> PropagationConfiguration.Issuer? {
        var section = Section(node, key, findings)
        let issuer = section.required("issuer", "as tokens name it (iss)")
        let text = section.required("keys", "the URL of the issuer's JSON Web Key Set, or a file with it")
        let keys = text.map { $0.contains("://") ? $0 : Credential.path($0) }
        if let keys {
            if keys.contains("://") {
                checkURL(keys, section)
            } else {
                checkKeys(keys, section)
            }
        }
        let tenant = section.string("tenant")
        let isActive = section.flag("active", true)
        section.finish()
        guard let issuer, let keys else { return nil }
        return PropagationConfiguration.Issuer(issuer: issuer, tenant: tenant, keys: keys, isActive: isActive)
    }

    /// Who can change the keys on their way can be any user.
    private func checkURL(_ text: String, _ section: Section) {
        guard let url = WebURL(text) else {
            return findings.error(section.place("keys"), section.path("keys"), "must be an https URL, or a file")
        }
        if !url.isTLS, !HostPort(host: url.host, port: url.port).isLoopback {
            findings.error(
                section.place("keys"),
                section.path("keys"),
                "must be https: whoever changes the keys can be any user"
            )
        }
    }

    private func checkKeys(_ path: String, _ section: Section) {
        ConfigurationFile.checkReadable(path, section.place("keys"), section.path("keys"), findings)
        guard let bytes = try? PlainFile.read(path, maxBytes: PrivateFile.maxBytes) else { return }
        do throws(TLSError) { _ = try WebKey.set(bytes) } catch {
            findings.error(section.place("keys"), section.path("keys"), "\(path): \(error)")
        }
    }

    private func pattern(_ node: YAMLNode, _ key: String) -> SubjectPattern? {
        var section = Section(node, key, findings)
        let condition = section.string("if")
        let subject = section.required("subject", "such as CN=${name}")
        let description = section.string("description") ?? ""
        section.finish()
        guard let subject else { return nil }
        do throws(SubjectPattern.Fault) {
            return try SubjectPattern(condition: condition, subject: subject, description: description)
        } catch {
            findings.error(section.node, key, error.message)
            return nil
        }
    }

    /// What stands behind a rule that always holds is never asked.
    private func checkOrder(_ patterns: [SubjectPattern], _ section: Section) {
        guard let always = patterns.firstIndex(where: { $0.condition == .always }), always < patterns.count - 1 else {
            return
        }
        findings.error(
            section.place("subject-patterns"),
            "principal-propagation.subject-patterns[\(always)]",
            "has no condition, so the patterns behind it never count; put it last"
        )
    }
}
