/*
 * BouncyCastle - Bouncy Castle's CMS as a peer of the interoperation tests: a server on standard
 * input and output.
 *
 * A line is an operation with its arguments, separated by tabs; file names stand for their bytes.
 * The answer is a line "ok" or "failed TEXT". Certificates and keys come as PEM.
 *
 *   verify   CMS CONTENT|- ROOT OUT        signature of the CMS, over CONTENT or what is inside
 *   decrypt  CMS CERT KEY OUT
 *   sign     CONTENT CERT KEY CHAIN ALGORITHM detached|opaque OUT
 *   encrypt  CONTENT CERT CIPHER TRANSPORT der|ber OUT
 */
import java.io.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import java.security.spec.*;
import java.util.*;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.nist.*;
import org.bouncycastle.asn1.pkcs.*;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.*;
import org.bouncycastle.cert.jcajce.*;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.*;
import org.bouncycastle.openssl.jcajce.*;
import org.bouncycastle.operator.*;
import org.bouncycastle.operator.jcajce.*;
import org.bouncycastle.util.Store;

public class BouncyCastle {
	static final String BC = "BC";

	static final Map<String, ASN1ObjectIdentifier> CIPHERS = Map.of(
		"aes-128-cbc", CMSAlgorithm.AES128_CBC, "aes-192-cbc", CMSAlgorithm.AES192_CBC,
		"aes-256-cbc", CMSAlgorithm.AES256_CBC, "aes-128-gcm", CMSAlgorithm.AES128_GCM,
		"aes-192-gcm", CMSAlgorithm.AES192_GCM, "aes-256-gcm", CMSAlgorithm.AES256_GCM,
		"des3", CMSAlgorithm.DES_EDE3_CBC);

	static final Map<String, ASN1ObjectIdentifier> AGREEMENTS = Map.of(
		"ecdh-sha1", CMSAlgorithm.ECDH_SHA1KDF, "ecdh-sha256", CMSAlgorithm.ECDH_SHA256KDF,
		"ecdh-sha384", CMSAlgorithm.ECDH_SHA384KDF, "ecdh-sha512", CMSAlgorithm.ECDH_SHA512KDF);

	static byte[] bytes(String path) throws IOException {
		return Files.readAllBytes(Path.of(path));
	}

	static List<X509Certificate> certificates(String path) throws Exception {
		List<X509Certificate> all = new ArrayList<>();
		try (PEMParser parser = new PEMParser(new FileReader(path))) {
			for (Object one; (one = parser.readObject()) != null; )
				if (one instanceof X509CertificateHolder)
					all.add(new JcaX509CertificateConverter().setProvider(BC)
						.getCertificate((X509CertificateHolder) one));
		}
		return all;
	}

	static PrivateKey key(String path) throws Exception {
		JcaPEMKeyConverter converter = new JcaPEMKeyConverter().setProvider(BC);
		try (PEMParser parser = new PEMParser(new FileReader(path))) {
			for (Object one; (one = parser.readObject()) != null; ) {
				if (one instanceof PrivateKeyInfo)
					return converter.getPrivateKey((PrivateKeyInfo) one);
				if (one instanceof PEMKeyPair)
					return converter.getKeyPair((PEMKeyPair) one).getPrivate();
			}
		}
		throw new IOException("no key in " + path);
	}

	/* The signer's path to the root, with what the message brought along. */
	static void validate(X509Certificate signer, Store<X509CertificateHolder> brought, String root) throws Exception {
		List<java.security.cert.Certificate> pool = new ArrayList<>();
		for (X509CertificateHolder one : brought.getMatches(null))
			pool.add(new JcaX509CertificateConverter().setProvider(BC).getCertificate(one));
		Set<TrustAnchor> anchors = new HashSet<>();
		for (X509Certificate one : certificates(root))
			anchors.add(new TrustAnchor(one, null));
		X509CertSelector target = new X509CertSelector();
		target.setCertificate(signer);
		PKIXBuilderParameters parameters = new PKIXBuilderParameters(anchors, target);
		parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(pool)));
		parameters.setRevocationEnabled(false);
		CertPathBuilder.getInstance("PKIX", BC).build(parameters);
	}

	static void verify(String cms, String content, String root, String out) throws Exception {
		CMSSignedData data = content.equals("-") ? new CMSSignedData(bytes(cms))
			: new CMSSignedData(new CMSProcessableByteArray(bytes(content)), bytes(cms));
		int signers = 0;
		for (SignerInformation signer : data.getSignerInfos()) {
			Collection<X509CertificateHolder> found = data.getCertificates().getMatches(signer.getSID());
			if (found.isEmpty())
				throw new CMSException("no certificate of the signer");
			X509Certificate certificate = new JcaX509CertificateConverter().setProvider(BC)
				.getCertificate(found.iterator().next());
			if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate.getPublicKey())))
				throw new CMSException("the signature does not fit");
			validate(certificate, data.getCertificates(), root);
			signers++;
		}
		if (signers == 0)
			throw new CMSException("nobody signed");
		Files.write(Path.of(out), content.equals("-") ? (byte[]) data.getSignedContent().getContent() : bytes(content));
	}

	static Recipient recipient(RecipientInformation one, PrivateKey key, boolean authenticated) throws CMSException {
		if (one instanceof KeyAgreeRecipientInformation && authenticated)
			throw new CMSException("key agreement in AuthEnvelopedData is not in this version");
		if (one instanceof KeyAgreeRecipientInformation)
			return new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC);
		return authenticated ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider(BC)
			: new JceKeyTransEnvelopedRecipient(key).setProvider(BC);
	}

	static void decrypt(String cms, String cert, String keyFile, String out) throws Exception {
		byte[] der = bytes(cms);
		boolean authenticated = org.bouncycastle.asn1.cms.ContentInfo.getInstance(der).getContentType()
			.equals(CMSObjectIdentifiers_authEnveloped);
		RecipientInformationStore all = authenticated ? new CMSAuthEnvelopedData(der).getRecipientInfos()
			: new CMSEnvelopedData(der).getRecipientInfos();
		X509CertificateHolder holder = new JcaX509CertificateHolder(certificates(cert).get(0));
		for (RecipientInformation one : all.getRecipients()) {
			if (!one.getRID().match(holder))
				continue;
			Files.write(Path.of(out), one.getContent(recipient(one, key(keyFile), authenticated)));
			return;
		}
		throw new CMSException("no recipientInfo names the certificate");
	}

	static final ASN1ObjectIdentifier CMSObjectIdentifiers_authEnveloped =
		new ASN1ObjectIdentifier("1.2.840.113549.1.9.16.1.23");

	static void sign(String content, String cert, String keyFile, String chain, String algorithm, String form, String out)
		throws Exception {
		X509Certificate signer = certificates(cert).get(0);
		List<X509Certificate> along = new ArrayList<>(List.of(signer));
		if (new File(chain).length() > 0)
			along.addAll(certificates(chain));
		CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
		ContentSigner maker = new JcaContentSignerBuilder(algorithm).setProvider(BC).build(key(keyFile));
		generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(
			new JcaDigestCalculatorProviderBuilder().setProvider(BC).build()).build(maker, signer));
		generator.addCertificates(new JcaCertStore(along));
		Files.write(Path.of(out), generator.generate(new CMSProcessableByteArray(bytes(content)),
			form.equals("opaque")).getEncoded());
	}

	static RecipientInfoGenerator recipientOf(X509Certificate certificate, String transport, ASN1ObjectIdentifier cipher)
		throws Exception {
		if (AGREEMENTS.containsKey(transport)) {
			KeyPairGenerator pairs = KeyPairGenerator.getInstance("EC", BC);
			pairs.initialize(((java.security.interfaces.ECPublicKey) certificate.getPublicKey()).getParams());
			KeyPair pair = pairs.generateKeyPair();
			ASN1ObjectIdentifier wrap = cipher.getId().startsWith("2.16.840.1.101.3.4.1.4") ? CMSAlgorithm.AES256_WRAP
				: CMSAlgorithm.AES128_WRAP;
			return new JceKeyAgreeRecipientInfoGenerator(AGREEMENTS.get(transport), pair.getPrivate(), pair.getPublic(), wrap)
				.addRecipient(certificate).setProvider(BC);
		}
		if (!transport.startsWith("oaep-"))
			return new JceKeyTransRecipientInfoGenerator(certificate).setProvider(BC);
		String digest = "SHA-" + transport.substring("oaep-sha".length());
		AlgorithmIdentifier oaep = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(
			PKCSObjectIdentifiers.id_RSAES_OAEP,
			new javax.crypto.spec.OAEPParameterSpec(digest, "MGF1", new MGF1ParameterSpec(digest),
				javax.crypto.spec.PSource.PSpecified.DEFAULT));
		return new JceKeyTransRecipientInfoGenerator(certificate, oaep).setProvider(BC);
	}

	static void encrypt(String content, String cert, String cipherName, String transport, String form, String out)
		throws Exception {
		ASN1ObjectIdentifier cipher = CIPHERS.get(cipherName);
		RecipientInfoGenerator to = recipientOf(certificates(cert).get(0), transport, cipher);
		OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(cipher).setProvider(BC).build();
		if (cipherName.endsWith("gcm")) {
			CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
			generator.addRecipientInfoGenerator(to);
			Files.write(Path.of(out), generator.generate(new CMSProcessableByteArray(bytes(content)),
				(OutputAEADEncryptor) encryptor).getEncoded());
		} else if (form.equals("der")) {
			CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
			generator.addRecipientInfoGenerator(to);
			Files.write(Path.of(out), generator.generate(new CMSProcessableByteArray(bytes(content)), encryptor)
				.toASN1Structure().getEncoded(ASN1Encoding.DER));
		} else {
			CMSEnvelopedDataStreamGenerator generator = new CMSEnvelopedDataStreamGenerator();
			generator.addRecipientInfoGenerator(to);
			try (OutputStream file = new FileOutputStream(out); OutputStream data = generator.open(file, encryptor)) {
				data.write(bytes(content));
			}
		}
	}

	static void perform(String[] words) throws Exception {
		switch (words[0]) {
		case "verify":
			verify(words[1], words[2], words[3], words[4]);
			break;
		case "decrypt":
			decrypt(words[1], words[2], words[3], words[4]);
			break;
		case "sign":
			sign(words[1], words[2], words[3], words[4], words[5], words[6], words[7]);
			break;
		case "encrypt":
			encrypt(words[1], words[2], words[3], words[4], words[5], words[6]);
			break;
		default:
			throw new IOException("no operation " + words[0]);
		}
	}

	public static void main(String[] arguments) throws IOException {
		Security.addProvider(new BouncyCastleProvider());
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		for (String line; (line = in.readLine()) != null; ) {
			String answer = "ok";
			try {
				perform(line.split("\t"));
			} catch (Exception failure) {
				answer = "failed " + failure.toString().replace('\n', ' ');
			}
			System.out.println(answer);
			System.out.flush();
		}
	}
}
